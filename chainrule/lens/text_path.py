"""One followed coordinate for a terminal: every product and every sum from the loss to one element of a weight."""

from collections.abc import Mapping, Sequence
from itertools import groupby

from chainrule.lens.coordinate import CoordinatePath, PathStep
from chainrule.lens.ledger import shown_names
from chainrule.lens.tape import Tape
from chainrule.lens.text import WIDTH, call_text, cut, short_name, table_lines

SGD_LR, ADAMW_LR, ADAMW_DECAY, ADAMW_EPS = 0.01, 1e-3, 0.01, 1e-8
HEADS = ("#", "operation", "arrives at", "gradient × local derivative")


def path_lines(tape: Tape, path: CoordinatePath, *, width: int = WIDTH) -> list[str]:
    """The way from the loss to the element: the products of each step add up to the number that the next begins with.

    Where several products are added, the largest is followed; steps that only move the number are one line.
    """
    names = shown_names(tape)
    title = f"{path.name}{list(path.index)} = {digits(path.number)}, from the loss down in {len(path.steps)} steps"
    rows: list[Sequence[str]] = [("", "the loss itself", "", "1")]
    for moved, group in groupby(path.steps, key=only_moves):
        steps = list(group)
        rows += _moved(tape, steps, names) if moved else [row for step in steps for row in _summed(tape, step, names)]
    ending = f"so ∂loss/∂{path.name}{list(path.index)} = {digits(path.gradient)}"
    table = table_lines(HEADS, rows, width, ("operation", "arrives at"))
    return [cut(line, width) for line in (title, "", *table, "", ending, *moves(path))]


def only_moves(step: PathStep) -> bool:
    """Whether the number stays as it is: a view, a reshape, a sum, an addition with a single use."""
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
        f"  SGD, lr {SGD_LR:g}:    {digits(w)} → {digits(sgd)}   (− lr · gradient)",
        f"  AdamW, lr {ADAMW_LR:g}: {digits(w)} → {digits(adamw)}   (first step: about lr, however large the gradient; "
        f"decay {ADAMW_DECAY:g})",
    ]


def _moved(tape: Tape, steps: Sequence[PathStep], names: Mapping[int, str]) -> list[Sequence[str]]:
    """Steps that hand the number on: one line, with the place where it comes out."""
    first, last = tape.nodes[steps[0].node], tape.nodes[steps[-1].node]
    numbers = f"{first.id + 1}" if len(steps) == 1 else f"{first.id + 1}…{last.id + 1}"
    words = ", ".join(tape.nodes[step.node].rule_name for step in steps)
    shown = call_text(first, names) if len(steps) == 1 else words
    return [(numbers, shown, _place(steps[-1], names), f"{digits(steps[-1].total)}, only moved")]


def _summed(tape: Tape, step: PathStep, names: Mapping[int, str]) -> list[Sequence[str]]:
    """One step in full: its largest products, the sum of the others, and what further uses of the value give."""
    node = tape.nodes[step.node]
    products = [f"{digits(term.gradient)} × {digits(term.local)} = {digits(term.product)}" for term in step.terms]
    if not products:
        products = ["nothing that goes out depends on it: 0"]
    if step.n_terms > 1:
        products[0] += f"   ← followed, {_share(step)}"
        left = step.n_terms - len(step.terms)
        products += [f"{left} smaller products = {digits(step.rest)}"] if left else []
        products += [f"sum of {step.n_terms} products = {digits(step.number)}"]
    if step.others:
        products += [f"{digits(use.number)} from another use, #{use.node + 1}" for use in step.others]
        products += [f"sum of {len(step.others) + 1} uses = {digits(step.total)}"]
    first = (str(node.id + 1), call_text(node, names), _place(step, names), products[0])
    return [first, *(("", "", "", one) for one in products[1:])]


def _share(step: PathStep) -> str:
    """How much of the sum the followed product is; of the absolute values, where they cancel, that is no share."""
    return f"{step.terms[0].product / step.number:.0%} of the sum" if step.number else "the sum is 0"


def _place(step: PathStep, names: Mapping[int, str]) -> str:
    return f"{short_name(names[step.value])}{list(step.index)}" if step.index else short_name(names[step.value])
