"""Layer × time pictures of a run's health, as numbers: the page draws them."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import pairwise
from typing import Any

from chainrule.run import HealthRecord, InsideRow

MOST_COLUMNS = 96
Cell = float | None


def pictures(record: HealthRecord) -> list[dict[str, Any]]:
    """Those of which anything is known: `rows` are layers, `steps` columns, `cells` by row; `log`: shades by ratios.

    Of many columns neighbours are one, the largest of them: what stands out must not be lost.
    """
    norms = {
        "Gradient norm": [dict(zip(record.layers, row.gradient_max, strict=True)) for row in record.norms],
        "Update, as a share of the weights": [
            dict(zip(record.layers, row.ratio_max, strict=True)) for row in record.norms
        ],
    }
    inside: dict[str, Callable[[InsideRow], Mapping[str, Cell]]] = {
        "Spread of the outputs": lambda row: {path: one[1] for path, one in row.outputs.items() if len(one) == 4},
        "Dead units": lambda row: {path: one[0] for path, one in row.units.items() if len(one) == 2},
        "Largest attention logit": lambda row: {path: one.largest_logit for path, one in row.attention.items()},
    }
    steps = [row.step for row in record.norms]
    looks = [row.step for row in record.inside]
    found = [_picture(title, steps, columns) for title, columns in norms.items()]
    found += [_picture(title, looks, [read(row) for row in record.inside]) for title, read in inside.items()]
    return [one for one in found if any(cell is not None for row in one["cells"] for cell in row)]


def _picture(title: str, steps: Sequence[int], columns: Sequence[Mapping[str, Cell]]) -> dict[str, Any]:
    layers = list(dict.fromkeys(path for column in columns for path in column))
    count = min(MOST_COLUMNS, len(columns))
    spans = list(pairwise(len(columns) * place // max(1, count) for place in range(count + 1)))
    cells = [[_largest(column.get(layer) for column in columns[a:b]) for a, b in spans] for layer in layers]
    share = title == "Dead units"
    return {
        "title": title,
        "rows": layers,
        "steps": [steps[b - 1] for _, b in spans],
        "cells": cells,
        "log": not share,
        "bounds": [0.0, 1.0] if share else None,
    }


def _largest(values: Iterable[Cell]) -> Cell:
    known = [value for value in values if value is not None]
    return float(f"{max(known):.4g}") if known else None
