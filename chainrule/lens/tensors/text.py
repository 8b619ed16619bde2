"""Facts, numbers, histograms and heatmaps as plain text of a given width."""

import math
from collections.abc import Iterator, Sequence
from textwrap import wrap
from typing import Any

from chainrule.lens.tensors.values import Heatmap, Histogram
from chainrule.lens.tensors.words import number

Facts = Sequence[tuple[str, str]]
Sections = Sequence[tuple[str, Facts]]

LABEL = 14
HEIGHTS = " ▁▂▃▄▅▆▇█"
SHADES = " ░▒▓█"
BARS = 6
WRONG = "×"


def sections_text(sections: Sections, width: int) -> list[str]:
    """Headed lists of labelled facts; long ones go on below themselves."""
    lines = []
    for heading, facts in sections:
        lines += ["", heading]
        for label, fact in facts:
            first, *rest = wrap(fact, max(20, width - LABEL - 2), break_long_words=True) or [""]
            lines.append(f"  {label:<{LABEL}}{first}".rstrip())
            lines += [" " * (LABEL + 2) + one for one in rest]
    return lines


def numbers_text(elements: Any, shape: Sequence[int], width: int) -> list[str]:
    """All numbers of a small tensor in aligned columns; each matrix of a higher rank under its place.

    `elements` are nested lists, as of `.tolist()`. Rows that do not fit the width are broken.
    """
    if not shape:
        return [f"  {_one(elements)}"]
    cells = [_one(one) for one in _flat(elements)]
    column = max(map(len, cells), default=0)
    lines = []
    for place, matrix in _matrices(elements, shape):
        if place:
            lines.append(f"  [{', '.join(map(str, place))}]")
        for row in matrix:
            told = "  ".join(f"{_one(one):>{column}}" for one in row)
            lines += [f"  {line}" for line in wrap(told, width - 2, drop_whitespace=False) or [""]]
    return [line.rstrip() for line in lines]


def histogram_text(histogram: Histogram, n_rows: int = BARS) -> list[str]:
    """Bars of blocks, `n_rows` high, with the ends of the range below."""
    most, counts = max(histogram.counts), histogram.counts
    wide = max(1, 20 // len(counts))
    eighths = [max(1, round(count / most * n_rows * 8)) if count else 0 for count in counts]
    lines = []
    for row in reversed(range(n_rows)):
        bars = "".join(HEIGHTS[max(0, min(8, height - 8 * row))] * wide for height in eighths)
        lines.append(f"  {bars}".rstrip() + (f"  {most:,} at most" if row == n_rows - 1 else ""))
    low, high = number(histogram.edges[0]), number(histogram.edges[-1])
    gap = max(2, wide * len(counts) - len(low) - len(high))
    return [*lines, f"  {low}{' ' * gap}{high}"]


def heatmap_text(heatmap: Heatmap, width: int) -> list[str]:
    """Shades from the smallest to the largest cell, two letters wide where there is room."""
    finite = [cell for row in heatmap.rows for cell in row if math.isfinite(cell)]
    low, high = (min(finite), max(finite)) if finite else (0.0, 0.0)
    wide = 2 if 2 * len(heatmap.rows[0]) <= width - 2 else 1
    lines = [f"  {''.join(_shade(cell, low, high) * wide for cell in row)}".rstrip() for row in heatmap.rows]
    legend = f"{SHADES[1]} {number(low)} … {SHADES[-1]} {number(high)}" if low < high else f"all {number(low)}"
    wrong = f", {WRONG} not finite" if len(finite) < sum(map(len, heatmap.rows)) else ""
    return [*lines, f"  {legend}{wrong}{cell_words(heatmap)}"]


def cell_words(heatmap: Heatmap) -> str:
    """What a cell stands for, when not for one element; which of several matrices is shown."""
    told = []
    shown = (len(heatmap.rows), len(heatmap.rows[0]))
    if shown != (heatmap.n_rows, heatmap.n_columns):
        told.append(f"{heatmap.n_rows}×{heatmap.n_columns} in {shown[0]}×{shown[1]} cells, each a mean")
    if heatmap.leading:
        told.append(f"at [{', '.join(map(str, heatmap.leading))}] of the axes before")
    return "".join(f"; {one}" for one in told)


def _shade(cell: float, low: float, high: float) -> str:
    if not math.isfinite(cell):
        return WRONG
    share = 0.5 if low == high else (cell / 2 - low / 2) / (high / 2 - low / 2)
    return SHADES[1 + min(3, int(share * 4))]


def _matrices(
    elements: Any, shape: Sequence[int], place: tuple[int, ...] = ()
) -> Iterator[tuple[tuple[int, ...], Any]]:
    if len(shape) <= 2:
        yield place, elements if len(shape) == 2 else [elements]
        return
    for at, one in enumerate(elements):
        yield from _matrices(one, shape[1:], (*place, at))


def _flat(elements: Any) -> Iterator[Any]:
    if isinstance(elements, list):
        for one in elements:
            yield from _flat(one)
    else:
        yield elements


def _one(element: Any) -> str:
    if isinstance(element, bool | int):
        return str(element)
    if isinstance(element, complex):
        return f"{element.real:.4g}{element.imag:+.4g}j"
    return f"{element:.5g}"
