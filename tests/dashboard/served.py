"""The live page in this process, on a free port, and a browser that looks at it."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import uvicorn

from chainrule.dashboard.app import build_app
from chainrule.dashboard.library import Library
from chainrule.dashboard.serving import server_config
from chainrule.web import Callers, address_of, listen


@contextmanager
def serving(*sources: Path, prefix: str = "", **settings: Any) -> Iterator[str]:
    """The page's address, without a stroke at its end."""
    callers = Callers(**{"port": 0, **settings})
    listening = listen(callers)
    server = uvicorn.Server(server_config(build_app(Library(sources), callers, prefix)))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
    thread.start()
    try:
        until(lambda: server.started)
        yield f"{address_of(listening)}{prefix}"
    finally:
        server.should_exit = True
        thread.join(20)
        listening.close()


def until(true: Any, seconds: float = 20) -> None:
    """Waits until it is so."""
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it did not come to pass"
        time.sleep(0.02)
