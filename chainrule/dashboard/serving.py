"""`chainrule watch`, as a call: the page behind a port until a signal ends it."""

import re
from collections.abc import Callable, Sequence
from pathlib import Path

import uvicorn
from h11 import LocalProtocolError
from uvicorn.protocols.http.h11_impl import H11Protocol

from chainrule.base import ConfigError, Interrupted
from chainrule.dashboard.app import build_app
from chainrule.dashboard.library import Library
from chainrule.web import Callers, address_of, listen, steadfast

PREFIX = re.compile(r"(/[A-Za-z0-9._~-]+)*")


def watch(
    sources: Sequence[Path], callers: Callers, *, prefix: str = "", on_ready: Callable[[str], None] | None = None
) -> None:
    """Shows the runs in these folders until Ctrl-C or SIGTERM; nothing in them is ever written.

    `prefix` is a path such as /x under which the page lies, behind a proxy that keeps it. Raises ConfigError for a port
    that is taken, an open host without a token, and a prefix that is none.
    """
    prefix = checked_prefix(prefix)
    listening = listen(callers)
    try:
        server = uvicorn.Server(server_config(build_app(Library(sources), callers, prefix)))
        if on_ready:
            on_ready(f"{address_of(listening)}{prefix}/")
        server.run(sockets=[listening])
    except (KeyboardInterrupt, Interrupted):
        return  # uvicorn raises the signal again once all is closed; this end was asked for
    finally:
        listening.close()


def checked_prefix(prefix: str) -> str:
    """With a stroke before it and none behind; raises ConfigError for what is no path."""
    given = f"/{prefix.strip('/')}" if prefix.strip("/") else ""
    if not PREFIX.fullmatch(given):
        raise ConfigError(f"prefix {prefix!r} is no path; write letters, digits and strokes, such as --prefix /watch")
    return given


def server_config(app: object) -> uvicorn.Config:
    """How uvicorn runs the application: a page that is open elsewhere must not hold up the end."""
    return uvicorn.Config(
        app,  # type: ignore[arg-type]
        http=steadfast(H11Protocol, LocalProtocolError),
        ws="none",
        log_level="warning",
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=1,
        proxy_headers=False,
    )
