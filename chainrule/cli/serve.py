"""`chainrule serve`: a model behind OpenAI's HTTP interface."""

from itertools import zip_longest
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from chainrule.base import ConfigError, MissingPackageError
from chainrule.cli.generate import opened_here
from chainrule.cli.loading import load_torch
from chainrule.cli.named import named
from chainrule.cli.options import Device
from chainrule.cli.output import say
from chainrule.web import token_of


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
    adapter: Annotated[tuple[str, ...], Parameter(negative=(), show_default=False)] = (),
    weights: Literal["float32", "bfloat16", "int8", "int4"] = "float32",
    exact: bool | None = None,
    device: Device = None,
) -> None:
    """Offer models to other programs, by OpenAI's interface, and to a person in the playground, until Ctrl-C.

    For example:

    - `chainrule serve runs/NAME`
    - `chainrule serve smollm2 --port 8080 --weights int8`
    - `chainrule serve runs/BEFORE runs/AFTER`
    - `chainrule serve smollm2 --adapter poems=my_adapter/ --adapter letters=another/`

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
    adapter
        NAME=FOLDER: an adapter of the first model in PEFT's format, which requests choose by that name; the base stays
        under its own. May be given several times.
    weights
        How the weights are kept: fewer bits a weight are more tokens a second, on a CPU. The numbers are then those of
        the rounded weights, and as exact in themselves as others.
    exact
        A greedy answer and its log-probabilities are the same to the last bit whatever else is being written. Default:
        on a CPU. --no-exact rounds differently from batch to batch.
    """
    sources = [named(one) for one in (source, *others)]
    load_torch()
    try:
        from chainrule import serve as room
        from chainrule.generate import quantised
    except ModuleNotFoundError as fault:
        if not fault.name or fault.name.partition(".")[0] not in ("fastapi", "starlette", "uvicorn"):
            raise
        raise MissingPackageError("chainrule serve", fault.name, "serve") from None
    adapters = _adapters(adapter)
    if adapters and weights != "float32":
        raise ConfigError(
            f"--adapter stands on full weights, and --weights {weights} packs them; leave one out, or put one adapter "
            "into the weights first: chainrule export hf FROM out/ --adapter FOLDER"
        )
    settings = room.Serving(
        host=host,
        port=port,
        rows=rows,
        max_queue=max_queue,
        max_length=max_length,
        token=token_of(token),
        hosts=allow_host,
        origins=allow_origin,
        checkpoints=checkpoints,
        exact=exact,
    )

    def ready(address: str, row_counts: tuple[int, ...]) -> None:
        say(f"{address}  (OpenAI's interface: {address}/v1)", f"mode: {_mode(row_counts)}. Ctrl-C ends.")

    if len(name) > len(sources):
        raise ConfigError(f"{len(name)} names for {len(sources)} models; give one for each, or none")
    offers: list[room.Offer] = []
    for one, called in zip_longest(sources, name):
        opened = quantised(opened_here(one, device), weights, on_fallback=say)
        own = adapters if not offers else {}
        offers.append(room.offered(one, opened, called, weights=weights, adapters=own))
        say(f"{offers[-1].name}: {opened.origin}")
    for word, folder in adapters.items():
        say(f"{word}: adapter {folder}")
    room.serve(offers, settings, on_ready=ready)


def _mode(row_counts: tuple[int, ...]) -> str:
    if not row_counts:
        return "fast"
    if row_counts == (1,):
        return "exact, but row by row (no product of several rows gave equal bits here); --no-exact is much faster"
    return f"exact (products of {', '.join(map(str, row_counts))} rows)"


def _adapters(given: tuple[str, ...]) -> dict[str, Path]:
    """NAME=FOLDER, each name once."""
    found: dict[str, Path] = {}
    for one in given:
        word, equals, folder = one.partition("=")
        if not (word and equals and folder):
            raise ConfigError(f"--adapter {one!r} is none; write NAME=FOLDER, such as --adapter poems=my_adapter/")
        if word in found:
            raise ConfigError(f"two adapters are called {word!r}; give each a name of its own")
        found[word] = Path(folder)
    return found
