"""`chainrule serve`: a model behind OpenAI's HTTP interface."""

from itertools import zip_longest
from typing import Annotated

from cyclopts import Parameter

from chainrule.base import ConfigError, MissingPackageError
from chainrule.cli.generate import opened_here
from chainrule.cli.options import Device
from chainrule.cli.output import say
from chainrule.show import printable


def serve(
    source: str,
    /,
    *others: str,
    host: str = "127.0.0.1",
    port: int = 8000,
    rows: int = 16,
    max_queue: int = 64,
    max_length: int | None = None,
    token: str | None = None,
    allow_host: Annotated[tuple[str, ...], Parameter(negative=(), show_default=False)] = (),
    allow_origin: Annotated[tuple[str, ...], Parameter(negative=(), show_default=False)] = (),
    name: Annotated[tuple[str, ...], Parameter(negative=(), show_default=False)] = (),
    checkpoints: int = 4,
    exact: bool | None = None,
    device: Device = None,
) -> None:
    """Offer models to other programs, by OpenAI's interface, and to a person in the playground, until Ctrl-C.

    For example:

    - `chainrule serve runs/NAME`
    - `chainrule serve smollm2 --port 8080 --name smollm2`
    - `chainrule serve runs/BEFORE runs/AFTER`

    Parameters
    ----------
    source
        A run folder, a checkpoint, a Hugging Face folder, or a name on the Hugging Face hub. Beside a run its
        checkpoints are offered, each as NAME@STEP.
    others
        More of them, under the same address; the first is meant where a request names none.
    host
        Where to listen. Any but this machine's own address needs a token.
    port
        0 takes any that is free.
    rows
        Texts that are written at once.
    max_queue
        Requests that may wait; more are answered 429.
    max_length
        Most tokens of a prompt and its answer together. Default: the model's context, or what a quarter of the memory
        holds for all rows.
    token
        What clients have to send (Authorization: Bearer …). CHAINRULE_TOKEN sets it where no list of processes shows
        it.
    allow_host
        Another name by which this server may be called.
    allow_origin
        A page of another server that may call this one, such as http://localhost:3000.
    name
        What the model is called over HTTP; of several, in their order. Default: the last part of the source.
    checkpoints
        Checkpoints of a run that are held in memory at once, besides the model itself; 0 offers none.
    exact
        A greedy answer and its log-probabilities are the same to the last bit whatever else is being written. Default:
        on a CPU. --no-exact rounds differently from batch to batch.
    """
    try:
        from chainrule import serve as room
    except ModuleNotFoundError as fault:
        if not fault.name or fault.name.partition(".")[0] not in ("fastapi", "starlette", "uvicorn"):
            raise
        raise MissingPackageError("chainrule serve", fault.name, "serve") from None
    settings = room.Serving(
        host=host,
        port=port,
        rows=rows,
        max_queue=max_queue,
        max_length=max_length,
        token=room.token_of(token),
        hosts=allow_host,
        origins=allow_origin,
        checkpoints=checkpoints,
        exact=exact,
    )

    def ready(address: str, row_counts: tuple[int, ...]) -> None:
        mode = f"exact (products of {', '.join(map(str, row_counts))} rows)" if row_counts else "fast"
        say(f"{address}  (OpenAI's interface: {address}/v1)\nmode: {mode}. Ctrl-C ends.")

    sources = (source, *others)
    if len(name) > len(sources):
        raise ConfigError(f"{len(name)} names for {len(sources)} models; give one for each, or none")
    offers = []
    for one, called in zip_longest(sources, name):
        offers.append(room.offered(one, opened_here(one, device), called))
        say(printable(f"{offers[-1].name}: {offers[-1].opened.origin}"))
    room.serve(offers, settings, on_ready=ready)
