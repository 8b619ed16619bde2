"""`chainrule lens graph`: the recorded operations as a picture."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from chainrule.base import LensError
from chainrule.cli.lens_options import Flag, Level, PictureFormat, check_coordinate, format_asked
from chainrule.cli.lens_output import deliver
from chainrule.cli.loading import load_torch
from chainrule.cli.named import check_subject
from chainrule.cli.output import say


def graph(
    what: str,
    /,
    *,
    out: Path | None = None,
    as_format: Annotated[PictureFormat | None, Parameter(name="--format")] = None,
    depth: int | None = None,
    level: Level = "op",
    weight: str | None = None,
    coordinate: str | None = None,
    verify: Flag = False,
    no_backward: Flag = False,
    batch: int = 2,
    tokens: int | None = None,
    layers: int | None = None,
    seed: int = 0,
    double: Flag = False,
    fallback: Flag = False,
) -> None:
    """Draw the graph: modules, operations, tensors, and the walk back from the loss with every gradient.

    On the terminal as a tree. As HTML one page that needs no network: modules unfold, a slider walks back through the
    chain rule, and every tensor shows its values.

    For example:

    - `chainrule lens graph neuron`
    - `chainrule lens graph gpt --out graph.html`
    - `chainrule lens graph runs/NAME --depth 1 --out graph.svg`
    - `chainrule lens graph gpt --weight blocks.0.attention.qkv --coordinate 3,7 --out graph.html`
    - `chainrule lens graph my_module.py:make_model --verify --out graph.html`

    Parameters
    ----------
    what
        neuron, network or gpt; a run folder, a checkpoint, a Hugging Face folder or a GGUF file; smollm2; a preset;
        or a function of yours, my_module.py:make_model, that returns (model, inputs) or (model, inputs, loss).
    out
        A file to write; its ending says the format: .html, .svg, .json, .md, .tex or .txt.
    as_format
        term (a tree), html, svg, json, md or tex. Default: by the ending of --out, else term.
    depth
        How far modules are unfolded: 0 shows the outermost. For term, html and svg. Default: what can be read at once.
    level
        op: the operations as PyTorch names them. core: broken into core ATen, more and simpler ones.
    weight
        A weight of which one element is followed from the loss, drawn on the page.
    coordinate
        Which element of it, such as 3,7 (row, column, from 0). Default: the one with the largest gradient.
    verify
        Prove every gradient in float64 first, and colour the operations by their errors.
    no_backward
        Values alone: also for what has no loss, or operations without a rule.
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
    """
    if verify and no_backward:
        raise LensError("--verify proves gradients, and --no-backward leaves them out; take one of the two")
    if verify and double:
        raise LensError("--verify computes in float64 anyway; leave out --double")
    check_coordinate(weight, coordinate)
    if depth is not None and depth < 0:
        raise LensError(f"--depth {depth}: it is 0 or more, and 0 shows the outermost")
    chosen = format_asked(as_format, out)
    if weight is not None and (no_backward or chosen not in ("html", "json")):
        raise LensError("a followed element is drawn on a page: add --out graph.html, and leave out --no-backward")
    check_subject(what)
    load_torch()
    from chainrule.lens import Picture, Policy, ledgers, opening, picture, prove, renderers

    renderers.renderer_for(Picture, chosen, depth=depth)
    subject = opening.open_subject(what, seed=seed, batch=batch, tokens=tokens, double=double, say=say)
    subject = opening.fitted(subject, layers=layers, proving=verify, say=say)
    policy, report = Policy(fallback=fallback), None
    if verify:
        say(f"verifying {subject.name} …")
        with opening.running(f"{subject.name} failed"):
            report = prove.verify(subject, coordinates=8, seed=seed, policy=policy, level=level)
    tape = opening.recorded(subject, level, say=say) if report is None else report.tape
    book = None
    if weight is not None:
        place = (weight, None if coordinate is None else ledgers.parse_coordinate(coordinate))
        book = ledgers.ledger(tape, policy=policy, coordinate=place, stats=False)
    drawn = picture(tape, book, verified=report, backward=not no_backward, policy=policy, title=subject.name)
    deliver(drawn, chosen, out, depth=depth)
