"""The health of the run: what is wrong and what to try, and layer × time pictures of what was measured."""

import math
from collections.abc import Callable, Sequence
from itertools import pairwise

from chainrule.report.heatmap import Heatmap, heatmap
from chainrule.report.sections import MARKS, section
from chainrule.run import Facts, HealthRecord, InsideRow
from chainrule.show import Html, join, tag
from chainrule.verdict import judge

Cell = float | None
MOST_COLUMNS = 96
# Of float32, in which all is measured: what is larger was never measured, and differences of such overflow.
LARGEST = 3.4028235e38


def health(facts: Facts) -> Html | None:
    """Findings and pictures; nothing for a run that measured no health."""
    record = facts.health
    pictures = [heatmap(one) for one in heatmaps(record) if one.cells]
    if not pictures:
        return None
    found = [tag("li", tag("b", MARKS[v.mark], class_=v.mark), tag("span", v.text)) for v in judge(record)]
    return section(
        "health",
        "Inside the model",
        tag("ul", join(found), class_="findings") if found else None,
        tag("div", join(pictures), class_="heatmaps"),
        note="Every layer, the input at the top and the output at the bottom, through the run from left to right; what "
        "stands out from the page is larger. Spread is a standard deviation; entropy is 1 where attention looks "
        "everywhere alike, and 0 where it looks at one place; a dead unit was silent for every token of a look.",
    )


def heatmaps(record: HealthRecord) -> list[Heatmap]:
    """Gradient norm and update ratio of every layer; spread, dead units and entropy from the looks inside."""
    steps = [row.step for row in record.norms]
    looks = [row.step for row in record.inside]
    return [
        _picture("gradient", "Gradient norm", record.layers, steps, _column(record, "gradient"), log=True),
        _picture(
            "ratio", "Update, as a share of the weights", record.layers, steps, _column(record, "ratio"), log=True
        ),
        _of_looks(record, looks, "std", "Spread of the outputs", _std, log=True),
        _of_looks(record, looks, "dead", "Dead units", _dead, bounds=(0.0, 1.0)),
        _of_looks(record, looks, "entropy", "Entropy of attention", _entropy, bounds=(0.0, 1.0)),
    ]


def _column(record: HealthRecord, name: str) -> list[list[Cell]]:
    """Rows of layers, columns of steps."""
    return [[_number(getattr(row, name)[place]) for row in record.norms] for place in range(len(record.layers))]


def _of_looks(
    record: HealthRecord,
    steps: Sequence[int],
    key: str,
    title: str,
    read: Callable[[InsideRow], dict[str, Cell]],
    *,
    log: bool = False,
    bounds: tuple[float, float] | None = None,
) -> Heatmap:
    looks = [read(row) for row in record.inside]
    layers = list(dict.fromkeys(path for look in looks for path in look))
    cells = [[look.get(path) for look in looks] for path in layers]
    return _picture(key, title, layers, steps, cells, log=log, bounds=bounds)


def _std(row: InsideRow) -> dict[str, Cell]:
    return {path: _number(values[1]) for path, values in row.outputs.items() if len(values) == 4}


def _dead(row: InsideRow) -> dict[str, Cell]:
    return {path: _number(values[0]) for path, values in row.units.items() if len(values) == 2}


def _entropy(row: InsideRow) -> dict[str, Cell]:
    """The mean over the heads of each layer."""
    return {path: _mean([_number(head) for head in one.entropy]) for path, one in row.attention.items()}


def _picture(
    key: str,
    title: str,
    layers: Sequence[str],
    steps: Sequence[int],
    cells: Sequence[Sequence[Cell]],
    *,
    log: bool = False,
    bounds: tuple[float, float] | None = None,
) -> Heatmap:
    """Thinned to MOST_COLUMNS by means of neighbours; empty when no cell is known."""
    if not any(value is not None for row in cells for value in row):
        return Heatmap(key, title, (), (), ())
    count = min(MOST_COLUMNS, len(steps))
    edges = [len(steps) * place // count for place in range(count + 1)]
    spans = list(pairwise(edges))
    thin = tuple(tuple(_mean(row[a:b]) for a, b in spans) for row in cells)
    shown = (*(steps[a] for a, _ in spans[:-1]), steps[-1])
    return Heatmap(key, title, tuple(layers), shown, thin, log=log, bounds=bounds)


def _mean(values: Sequence[Cell]) -> Cell:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None


def _number(value: Cell) -> Cell:
    return None if value is None or math.isnan(value) or abs(value) > LARGEST else value
