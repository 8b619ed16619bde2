"""`chainrule serve`, as a call: a model behind a port until a signal ends it."""

import errno
import socket
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

import uvicorn

from chainrule.base import ConfigError, Interrupted
from chainrule.checkpoint import OpenedModel
from chainrule.serve.app import build_app
from chainrule.serve.offers import Offer, offers_of
from chainrule.serve.settings import Serving

# Open connections; more are answered 503 by uvicorn itself. Each costs some ten kB.
MOST_CONNECTIONS = 1024
# What is being written when the server is to end has so long.
GRACE_SECONDS = 5

OnReady = Callable[[str, tuple[int, ...]], None]
"""Hears the address, and in the exact mode the rows of matrix products that were proved on this machine."""


def serve(
    models: OpenedModel | Sequence[Offer],
    settings: Serving,
    *,
    adapters: Mapping[str, Path] = MappingProxyType({}),
    on_ready: OnReady | None = None,
) -> None:
    """Answers until Ctrl-C or SIGTERM, then lets go of everything; what is being written has five seconds.

    `models` is one, or several offers, of which the first is meant where a request names none; beside a run its
    checkpoints are offered. `adapters` are PEFT's folders for one model, each under the name by which requests ask for
    it. Raises ConfigError for a port that is taken and a name that is, CheckpointError for an adapter that does not
    fit, DeviceError for the exact mode anywhere but on a CPU.
    """
    listening = listen(settings)
    try:
        offers = offers_of(models, settings, adapters) if isinstance(models, OpenedModel) else models
        app = build_app(offers, settings)
        server = uvicorn.Server(server_config(app))
        if on_ready:
            on_ready(address_of(listening), app.state.api.engine.row_counts)
        server.run(sockets=[listening])
    except (KeyboardInterrupt, Interrupted):
        return  # uvicorn raises the signal again once all is closed; this end was asked for
    finally:
        listening.close()


def server_config(app: object) -> uvicorn.Config:
    """How uvicorn runs the application."""
    return uvicorn.Config(
        app,  # type: ignore[arg-type]
        http="h11",
        ws="none",
        log_level="warning",
        access_log=False,
        server_header=False,
        limit_concurrency=MOST_CONNECTIONS,
        timeout_graceful_shutdown=GRACE_SECONDS,
        proxy_headers=False,
    )


def listen(settings: Serving) -> socket.socket:
    """The port, open; raises ConfigError with what to do when it cannot be had."""
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    # The protocol by its name: on sockets without one asyncio leaves Nagle's algorithm on, and each answer, which is
    # sent in two writes, waits 40 ms until the client's system has acknowledged the first.
    listening = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((settings.host, settings.port))
        listening.listen(256)
    except OSError as fault:
        listening.close()
        taken = fault.errno == errno.EADDRINUSE
        why = "another program listens there" if taken else (fault.strerror or str(fault))
        raise ConfigError(
            f"port {settings.port} of {settings.host} cannot be had: {why}; take another with --port, or --port 0 for "
            "any that is free"
        ) from None
    return listening


def address_of(listening: socket.socket) -> str:
    """http://host:port."""
    host, port = listening.getsockname()[:2]
    return f"http://{f'[{host}]' if ':' in host else host}:{port}"
