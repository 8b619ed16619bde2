"""`chainrule watch`: runs as a live page in the browser, or as one file to send."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from chainrule.base import MissingPackageError
from chainrule.cli.options import RunsFolder
from chainrule.cli.output import put, say
from chainrule.run import RUNS
from chainrule.web import Callers, token_of


def watch(
    *runs: str,
    save: Path | None = None,
    host: str = "127.0.0.1",
    port: int = 8080,
    prefix: str = "",
    token: str | None = None,
    allow_host: Annotated[tuple[str, ...], Parameter(negative=(), show_default=False)] = (),
    runs_folder: RunsFolder = RUNS,
) -> None:
    """Watch runs in the browser while they go on: curves, verdict, samples, what differs, until Ctrl-C.

    Nothing is written, neither to the runs nor over HTTP. For example:

    - `chainrule watch`
    - `chainrule watch runs/NAME --save page.html`
    - `chainrule watch /data/runs --port 9000`
    - On another machine: `ssh -L 8080:127.0.0.1:8080 THERE`, and there `chainrule watch`

    Parameters
    ----------
    runs
        Run folders, names in the runs folder, or folders that hold runs. Default: the runs folder.
    save
        Write the page with the runs' data inside as one file, which opens without a server, and end.
    host
        Where to listen. Any but this machine's own address needs a token.
    port
        0 takes any that is free.
    prefix
        A path under which the page lies, such as /watch, behind a proxy that keeps it.
    token
        What a page has to send (it asks for it). CHAINRULE_TOKEN sets it where no list of processes shows it.
    allow_host
        Another name by which this server may be called.
    """
    callers = Callers(host, port, token_of(token), allow_host)
    try:
        from chainrule import dashboard as room
    except ModuleNotFoundError as fault:
        if not fault.name or fault.name.partition(".")[0] not in ("starlette", "uvicorn"):
            raise
        raise MissingPackageError("chainrule watch", fault.name, "serve") from None
    sources = room.find_sources(runs, runs_folder)
    if save is not None:
        put(room.save_page(sources, save))
        return
    room.watch(sources, callers, prefix=prefix, on_ready=lambda address: say(f"{address}  Ctrl-C ends."))
