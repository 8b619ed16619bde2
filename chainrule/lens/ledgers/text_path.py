"""One followed coordinate for a terminal: every product and every sum from the loss to one element of a weight."""

from collections.abc import Mapping, Sequence
from itertools import groupby

from chainrule.lens.ledgers.book import shown_names
from chainrule.lens.ledgers.coordinate import CoordinatePath, PathStep
from chainrule.lens.ledgers.text_words import call_text, op_name, short_name
from chainrule.lens.tape import Tape
from chainrule.show import WIDTH, cut, padded

SGD_LR, ADAMW_LR, ADAMW_DECAY, ADAMW_EPS = 0.01, 1e-3, 0.01, 1e-8
PLACE = 62


def path_lines(path: CoordinatePath, *, width: int = WIDTH) -> list[str]:
    """The way from the loss to the element: the products of each step add up to the number that the next begins with.

    Where several products are added, the largest is followed; steps that only move the number share a line.
    """
    tape, names = path.tape, shown_names(path.tape)
    element = f"{path.name}{list(path.index) or ''}"
    title = f"{element} = {digits(path.number)}, from the loss down in {len(path.steps)} steps"
    lines = [title, "each product: gradient that arrives × local derivative", ""]
    for moved, group in groupby(path.steps, key=only_moves):
        steps = list(group)
        lines += _moved(tape, steps, names) if moved else [line for one in steps for line in _summed(tape, one, names)]
    ending = f"so ∂loss/∂{element} = {digits(path.gradient)}"
    return [cut(line, width) for line in (*lines, "", ending, *moves(path))]


def only_moves(step: PathStep) -> bool:
    """Whether the number stays as it is, as in a view, a reshape, a sum or an addition."""
    return step.n_terms == 1 and not step.others and step.terms[0].local == 1


def digits(number: float) -> str:
    """Eight significant digits, so that what is printed can be added up again."""
    return f"{number:.8g}"


def moves(path: CoordinatePath) -> list[str]:
    """Which way training moves the element: a step of SGD, and the first step of AdamW."""
    if path.gradient == 0:
        return ["The gradient is zero: SGD leaves this element where it is, AdamW only decays it."]
    g, w = path.gradient, path.number
    sgd = w - SGD_LR * g
    adamw = w * (1 - ADAMW_LR * ADAMW_DECAY) - ADAMW_LR * g / (abs(g) + ADAMW_EPS)
    grows, way = ("falls", "up") if g < 0 else ("rises", "down")
    return [
        f"When this element grows, the loss {grows}; so training moves it {way}:",
        f"  SGD, lr {SGD_LR:g}: {digits(w)} − {SGD_LR:g} × {digits(g)} = {digits(sgd)}",
        f"  AdamW, lr {ADAMW_LR:g}, first step: {digits(adamw)}, about lr away however large the gradient is",
    ]


def _moved(tape: Tape, steps: Sequence[PathStep], names: Mapping[int, str]) -> list[str]:
    """Steps that hand the number on: one line, with the place where it comes out."""
    nodes = [tape.nodes[step.node] for step in steps]
    shown = call_text(nodes[0], names) if len(nodes) == 1 else ", ".join(map(op_name, nodes))
    number = f"#{nodes[0].id + 1}" + (f"–{nodes[-1].id + 1}" if len(nodes) > 1 else "")
    return [_heading(number, shown, steps[-1], names), f"        {digits(steps[-1].total)} × 1, the same number"]


def _summed(tape: Tape, step: PathStep, names: Mapping[int, str]) -> list[str]:
    """One step in full: its largest products, the sum of the others, and what further uses of the value give."""
    node = tape.nodes[step.node]
    found = [f"{digits(one.gradient)} × {digits(one.local)} = {digits(one.product)}" for one in step.terms]
    if not found:
        found = ["nothing that goes out depends on this element: 0"]
    if step.n_terms > 1:
        found[0] += "   ← followed"
        left = step.n_terms - len(step.terms)
        found += [f"{left} smaller product{'s' * (left > 1)} = {digits(step.rest)}"] if left else []
        found += [f"sum of {step.n_terms} products = {digits(step.number)}"]
    if step.others:
        found += [f"+ {digits(use.number)} from another use, #{use.node + 1}" for use in step.others]
        found += [f"sum of {len(step.others) + 1} uses = {digits(step.total)}"]
    return [_heading(f"#{node.id + 1}", call_text(node, names), step, names), *(f"        {one}" for one in found)]


def _heading(number: str, operation: str, step: PathStep, names: Mapping[int, str]) -> str:
    place = short_name(names[step.value]) + (str(list(step.index)) if step.index else "")
    return f"{padded(f'{number}  {operation}', PLACE)}  → {place}"
