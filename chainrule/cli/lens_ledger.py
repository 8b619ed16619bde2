"""`chainrule lens ledger`: the chain rule, line by line, from the loss back to a weight."""

from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from chainrule.base import LensError, write_bytes
from chainrule.cli.lens_output import PictureFormat, check_output, picture_format, write_picture
from chainrule.cli.lens_page import check_json_alone
from chainrule.cli.options import AsJson
from chainrule.cli.output import json_text, say

Flag = Annotated[bool, Parameter(negative=(), show_default=False)]


def ledger(
    what: str,
    /,
    *,
    weight: str | None = None,
    coordinate: str | None = None,
    module: str | None = None,
    depth: int | None = None,
    level: Literal["op", "core"] = "op",
    batch: int = 2,
    tokens: int | None = None,
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
    - `chainrule lens ledger my_module.py:make_model --out ledger.html`

    Parameters
    ----------
    what
        neuron, network or gpt; a run folder, a checkpoint or a Hugging Face folder; a preset; or a function of yours,
        my_module.py:make_model, that returns (model, inputs) or (model, inputs, loss).
    weight
        A weight by its name; `blocks.0.attention.qkv` stands for `blocks.0.attention.qkv.weight`.
    coordinate
        Which element of it, such as 3,7 (row, column, from 0). Default: the one with the largest gradient.
    module
        Only the operations of this module and those below it.
    depth
        Levels of modules that are told apart; 0 shows every operation. Default: what fits a screen.
    level
        op: the operations as PyTorch names them. core: broken into core ATen, more and simpler ones.
    batch
        Windows of text that a GPT is given.
    tokens
        Tokens of each window. Default: the context length, 128 at most.
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
    check_output(as_format, out)
    chosen = "json" if as_json else picture_format(as_format, out)
    if coordinate is not None and weight is None:
        raise LensError("--coordinate needs --weight: the name of the weight that it is a place in")
    if chosen not in ("term", "json") and (weight, module, depth) != (None, None, None):
        raise LensError(f"a picture ({chosen}) shows all operations; leave out --weight, --module and --depth")
    from chainrule.lens import Policy, ledger_lines, path_lines, picture
    from chainrule.lens import ledger as written
    from chainrule.lens.ledgers import ledger_facts, parse_coordinate
    from chainrule.lens.open import open_subject, recorded

    subject = open_subject(what, seed=seed, batch=batch, tokens=tokens, double=double, say=say)
    tape = recorded(subject, level, say=say)
    place = None if weight is None else (weight, None if coordinate is None else parse_coordinate(coordinate))
    found = written(tape, policy=Policy(fallback=fallback), coordinate=place, stats=False)
    if chosen == "json":
        deliver(json_text(ledger_facts(found)), out)
    elif chosen != "term":
        write_picture(picture(tape, found, policy=Policy(fallback=fallback), title=subject.name), as_format, out)
    elif found.coordinate is not None:
        deliver("\n".join(path_lines(tape, found.coordinate)), out)
    else:
        deliver("\n".join(ledger_lines(found, module=module or "", depth=depth, title=subject.name)), out)


def deliver(text: str, out: Path | None) -> None:
    """Prints the text, or writes it to the file and prints where."""
    if out is None:
        print(text)
        return
    write_bytes(out, f"{text}\n".encode("utf-8", "replace"))
    print(out)
