"""What other instruments found of a recording, as plain data for a picture: costs, and an element that was followed."""

from chainrule.lens.draw.data import DrawnCost, DrawnPath, DrawnSaved, DrawnTerm
from chainrule.lens.ledgers import CoordinatePath, Cost, PathStep


def drawn_cost(cost: Cost) -> DrawnCost:
    """The costs of one operation."""
    saved = tuple(DrawnSaved(one.word, one.value, one.n_bytes, one.held) for one in cost.saved)
    return DrawnCost(cost.seconds, cost.n_bytes, cost.flops, saved)


def followed(path: CoordinatePath) -> DrawnPath:
    """The way of one element, from the loss down."""
    return DrawnPath(
        path.name, path.value, path.index, path.number, path.gradient, tuple(_term(step) for step in path.steps)
    )


def _term(step: PathStep) -> DrawnTerm:
    first = step.terms[0] if step.terms else None
    return DrawnTerm(
        step.node,
        step.value,
        step.index,
        step.n_terms,
        step.number,
        step.total,
        first.output if first else None,
        first.index if first else (),
        first.gradient if first else None,
        first.local if first else None,
    )
