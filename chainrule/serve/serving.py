"""`chainrule serve`, as a call: a model behind a port until a signal ends it."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

import uvicorn
from h11 import LocalProtocolError
from uvicorn.protocols.http.h11_impl import H11Protocol

from chainrule.base import Interrupted
from chainrule.checkpoint import OpenedModel
from chainrule.serve.app import build_app
from chainrule.serve.offers import Offer, offers_of
from chainrule.serve.settings import Serving
from chainrule.web import address_of, listen, steadfast

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
    listening = listen(settings.callers)
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
        http=steadfast(H11Protocol, LocalProtocolError),
        ws="none",
        log_level="warning",
        access_log=False,
        server_header=False,
        limit_concurrency=MOST_CONNECTIONS,
        timeout_graceful_shutdown=GRACE_SECONDS,
        proxy_headers=False,
    )
