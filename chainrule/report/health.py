"""The health of the run: what is wrong and what to try, and layer × time pictures of what was measured."""

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import pairwise

from chainrule.report.heatmap import Heatmap, heatmap
from chainrule.report.sections import MARKS, folded, section
from chainrule.run import Facts, HealthRecord, InsideRow
from chainrule.show import Html, join, tag
from chainrule.verdict import judge

Cell = float | None
Cells = tuple[tuple[Cell, ...], ...]
MOST_COLUMNS = 96
# Of float32, in which all is measured: what is larger was never measured, and differences of such overflow.
LARGEST = 3.4028235e38
EXPLAINED = (
    "Every layer, the input at the top and the output at the bottom, through the run from left to right; what stands "
    "out from the page is larger. Spread is a standard deviation; entropy is 1 where attention looks everywhere alike, "
    "and 0 where it looks at one place; a dead unit was silent for every token of a look."
)


def health(facts: Facts) -> Html | None:
    """Findings and pictures; nothing for a run that measured no health."""
    record = facts.health
    pictures = [heatmap(one) for one in heatmaps(record) if one.cells]
    if not pictures:
        return None
    told = judge(record)
    found = [tag("li", tag("b", MARKS[v.mark], class_=v.mark), tag("span", v.text)) for v in told]
    shown = tag("div", tag("div", join(pictures), class_="heatmaps"), tag("p", EXPLAINED, class_="note"))
    return section(
        "health",
        "Inside the model",
        tag("ul", join(found), class_="findings") if found else None,
        # Where nothing is wrong there is nothing to look for.
        folded("Every layer, through the run", shown) if told and told[0].mark == "good" else shown,
    )


def heatmaps(record: HealthRecord) -> list[Heatmap]:
    """Gradient norm and update ratio of every layer; spread, dead units and entropy from the looks inside."""
    steps = tuple(row.step for row in record.norms)
    looks = tuple(row.step for row in record.inside)
    layers = tuple(record.layers)
    gradients, ratios = _column(record, "gradient"), _column(record, "ratio")
    return [
        _thinned(Heatmap("gradient", "Gradient norm", layers, steps, gradients, log=True)),
        _thinned(Heatmap("ratio", "Update, as a share of the weights", layers, steps, ratios, log=True)),
        _of_looks(record, _std, Heatmap("std", "Spread of the outputs", (), looks, (), log=True)),
        _of_looks(record, _dead, Heatmap("dead", "Dead units", (), looks, (), bounds=(0.0, 1.0))),
        _of_looks(record, _entropy, Heatmap("entropy", "Entropy of attention", (), looks, (), bounds=(0.0, 1.0))),
    ]


def _column(record: HealthRecord, name: str) -> Cells:
    """Rows of layers, columns of steps."""
    places = range(len(record.layers))
    return tuple(tuple(_number(getattr(row, name)[place]) for row in record.norms) for place in places)


def _of_looks(record: HealthRecord, read: Callable[[InsideRow], dict[str, Cell]], empty: Heatmap) -> Heatmap:
    """The picture `empty` with what `read` finds in each look, by layer."""
    looks = [read(row) for row in record.inside]
    layers = tuple(dict.fromkeys(path for look in looks for path in look))
    cells = tuple(tuple(look.get(path) for look in looks) for path in layers)
    return _thinned(replace(empty, rows=layers, cells=cells))


def _std(row: InsideRow) -> dict[str, Cell]:
    return {path: _number(values[1]) for path, values in row.outputs.items() if len(values) == 4}


def _dead(row: InsideRow) -> dict[str, Cell]:
    return {path: _number(values[0]) for path, values in row.units.items() if len(values) == 2}


def _entropy(row: InsideRow) -> dict[str, Cell]:
    """The mean over the heads of each layer."""
    return {path: _mean([_number(head) for head in one.entropy]) for path, one in row.attention.items()}


def _thinned(whole: Heatmap) -> Heatmap:
    """The picture with at most MOST_COLUMNS, means of neighbours; empty when there is nothing to be seen in it."""
    known = [value for row in whole.cells for value in row if value is not None]
    if not known or (whole.key == "dead" and not any(known)):
        return replace(whole, rows=(), steps=(), cells=())
    steps = whole.steps
    count = min(MOST_COLUMNS, len(steps))
    edges = [len(steps) * place // count for place in range(count + 1)]
    spans = list(pairwise(edges))
    thin = tuple(tuple(_mean(row[a:b]) for a, b in spans) for row in whole.cells)
    return replace(whole, steps=(*(steps[a] for a, _ in spans[:-1]), steps[-1]), cells=thin)


def _mean(values: Sequence[Cell]) -> Cell:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None


def _number(value: Cell) -> Cell:
    return None if value is None or math.isnan(value) or abs(value) > LARGEST else value
