"""`chainrule lens ledger`: the chain rule, line by line, from the loss back to a weight."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from chainrule.base import LensError
from chainrule.cli.lens_options import (
    Flag,
    Level,
    PictureFormat,
    check_coordinate,
    check_json_alone,
    format_asked,
)
from chainrule.cli.lens_output import deliver
from chainrule.cli.loading import load_torch
from chainrule.cli.named import check_subject
from chainrule.cli.options import AsJson
from chainrule.cli.output import say


def ledger(
    what: str,
    /,
    *,
    weight: str | None = None,
    coordinate: str | None = None,
    module: str | None = None,
    depth: int | None = None,
    costs: Flag = False,
    level: Level = "op",
    batch: int = 2,
    tokens: int | None = None,
    layers: int | None = None,
    seed: int = 0,
    double: Flag = False,
    fallback: Flag = False,
    out: Path | None = None,
    as_format: Annotated[PictureFormat | None, Parameter(name="--format")] = None,
    as_json: AsJson = False,
) -> None:
    """Write out the chain rule: each operation, its value, its derivative, what comes in and what goes out.

    With --weight, one element of that weight is followed from the loss, product by product.

    For example:

    - `chainrule lens ledger neuron`
    - `chainrule lens ledger gpt --module blocks.0.attention`
    - `chainrule lens ledger runs/NAME --weight blocks.0.attention.qkv --coordinate 3,7`
    - `chainrule lens ledger gpt --costs`
    - `chainrule lens ledger my_module.py:make_model --out ledger.html`

    Parameters
    ----------
    what
        neuron, network or gpt; a run folder, a checkpoint, a Hugging Face folder or a GGUF file; smollm2; a preset;
        or a function of yours, my_module.py:make_model, that returns (model, inputs) or (model, inputs, loss).
    weight
        A weight by its name; `blocks.0.attention.qkv` stands for `blocks.0.attention.qkv.weight`.
    coordinate
        Which element of it, such as 3,7 (row, column, from 0). Default: the one with the largest gradient.
    module
        Only the operations of this module and those below it.
    depth
        Levels of modules that are told apart; 0 shows every operation. Default: what fits a screen.
    costs
        What each operation took instead: time, memory, FLOPs, and what autograd keeps of it for the way back.
    level
        op: the operations as PyTorch names them. core: broken into core ATen, more and simpler ones.
    batch
        Windows of text that a GPT is given.
    tokens
        Tokens of each window. Default: the context length, 128 at most, 16 of a model of more than 50 million weights.
    layers
        Only so many of a GPT's layers, the first ones: a large model is then quicker and takes less memory.
    seed
        Which windows, and the random weights of a demo or preset.
    double
        Compute in float64.
    fallback
        Differentiate operations without a rule by autograd, and say so.
    out
        A file to write; its ending says the format: .html, .svg, .md, .tex, .json or .txt.
    as_format
        term, html, svg, md, tex or json. Default: by the ending of --out, else term.
    """
    check_json_alone(out, as_format, as_json=as_json)
    chosen = "json" if as_json else format_asked(as_format, out)
    check_coordinate(weight, coordinate)
    if chosen not in ("text", "json") and (module, depth) != (None, None):
        raise LensError(f"a page or picture ({chosen}) shows all operations; leave out --module and --depth")
    if weight is not None and chosen not in ("text", "json", "html"):
        raise LensError(f"a followed weight is told as text, json or html, not as {chosen}")
    if costs and (weight is not None or chosen not in ("text", "json")):
        raise LensError("--costs tells what each operation took, as text or json; leave out --weight, --out page.html")
    check_subject(what)
    load_torch()
    from chainrule.lens import Policy, ledgers, opening

    subject = opening.open_subject(what, seed=seed, batch=batch, tokens=tokens, double=double, say=say)
    subject = opening.fitted(subject, layers=layers, say=say)
    tape = opening.recorded(subject, level, say=say)
    place = None if weight is None else (weight, None if coordinate is None else ledgers.parse_coordinate(coordinate))
    if costs:
        found = ledgers.costs_of(tape)
        told = ledgers.CostTable(tape, found, subject.name)
        deliver(told, chosen, out, depth=None if chosen == "json" else depth)
        return
    book = ledgers.ledger(tape, policy=Policy(fallback=fallback), coordinate=place, stats=False)
    if chosen == "json":
        deliver(book, chosen, out)
    elif book.coordinate is not None and chosen == "text":
        deliver(book.coordinate, chosen, out)
    else:
        deliver(book, chosen, out, module=module, depth=depth, title=subject.name)
