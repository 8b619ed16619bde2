"""One tensor as a picture (SVG) and as one self-contained page (HTML)."""

import html
import math
from collections.abc import Sequence
from typing import Any

from chainrule.lens.tensors.text import Sections, cell_words, numbers_text
from chainrule.lens.tensors.values import Heatmap, Histogram, Values
from chainrule.lens.tensors.words import number

WIDTH, BARS_HEIGHT, MARGIN, LINE = 640, 140, 8, 18
BELOW, ABOVE = (33, 102, 172), (178, 24, 43)  # blue and red of ColorBrewer's RdBu, told apart by the colour-blind
STYLE = """
:root { color-scheme: light dark; --ink: #1b1b1b; --soft: #5b5b5b; --paper: #fff; --line: #ddd; }
@media (prefers-color-scheme: dark) { :root { --ink: #eee; --soft: #aaa; --paper: #161616; --line: #383838; } }
body { font: 15px/1.45 system-ui, sans-serif; color: var(--ink); background: var(--paper); margin: 1.5rem auto;
  max-width: 60rem; padding: 0 1rem; }
h1 { font-size: 1.25rem; } h2 { font-size: 1rem; margin-top: 1.5rem; }
table { border-collapse: collapse; width: 100%; }
th, td { text-align: left; vertical-align: top; padding: .25rem .75rem .25rem 0; border-top: 1px solid var(--line);
  overflow-wrap: anywhere; }
th { font-weight: 600; white-space: nowrap; width: 8rem; color: var(--soft); }
pre { overflow-x: auto; } svg { max-width: 100%; height: auto; color: var(--ink); }
"""


def tensor_page(title: str, sections: Sections, values: Values | None, elements: Any, shape: Sequence[int]) -> str:
    """The whole page; it asks nothing of the network, and follows the light or dark of the reader."""
    parts = [f"<h1>{html.escape(title)}</h1>"]
    if values is not None:
        parts.append(tensor_svg(title, values, titled=False))
    if elements is not None and shape:
        whole = "\n".join(numbers_text(elements, shape, 200))
        parts.append(f"<h2>whole</h2><pre>{html.escape(whole)}</pre>")
    for heading, facts in sections:
        rows = "".join(
            f'<tr><th scope="row">{html.escape(label)}</th><td>{html.escape(fact)}</td></tr>' for label, fact in facts
        )
        parts.append(f"<h2>{html.escape(heading)}</h2><table>{rows}</table>")
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{html.escape(title)}</title><style>{STYLE}</style></head><body>{''.join(parts)}</body></html>\n"
    )


def tensor_svg(title: str, values: Values | None, *, titled: bool = True) -> str:
    """Histogram above, heatmap below."""
    y, parts = MARGIN, []
    if titled:
        parts.append(_words(MARGIN, y + 12, title, bold=True))
        y += LINE + MARGIN
    if values is not None and values.histogram is not None:
        parts += _histogram(values.histogram, y)
        y += BARS_HEIGHT + LINE + 2 * MARGIN
    if values is not None and values.heatmap is not None:
        drawn, height = _heatmap(values.heatmap, y)
        parts += drawn
        y += height
    label = html.escape(f"{title}: histogram and heatmap", quote=True)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {y + MARGIN}" width="{WIDTH}" role="img" '
        f'aria-label="{label}" font-family="system-ui, sans-serif" font-size="12" fill="currentColor">'
        f"{''.join(parts)}</svg>"
    )


def _histogram(histogram: Histogram, top: int) -> list[str]:
    most, n = max(histogram.counts), len(histogram.counts)
    wide = (WIDTH - 2 * MARGIN) / n
    parts = []
    for at, count in enumerate(histogram.counts):
        height = max(1.0, count / most * BARS_HEIGHT) if count else 0.0
        low, high = histogram.edges[at], histogram.edges[at + 1]
        parts.append(
            f'<rect x="{MARGIN + at * wide:.1f}" y="{top + BARS_HEIGHT - height:.1f}" width="{max(0.5, wide - 1):.1f}" '
            f'height="{height:.1f}" fill="#4393c3"><title>{number(low)} to {number(high)}: {count:,}</title></rect>'
        )
    below = top + BARS_HEIGHT + LINE - 4
    ends = number(histogram.edges[0]), number(histogram.edges[-1])
    return [*parts, _words(MARGIN, below, ends[0]), _words(WIDTH - MARGIN, below, ends[1], anchor="end")]


def _heatmap(heatmap: Heatmap, top: int) -> tuple[list[str], int]:
    n_rows, n_columns = len(heatmap.rows), len(heatmap.rows[0])
    side = min(28.0, (WIDTH - 2 * MARGIN) / n_columns)
    finite = [cell for row in heatmap.rows for cell in row if math.isfinite(cell)]
    low, high = (min(finite), max(finite)) if finite else (0.0, 0.0)
    parts = [
        f'<rect x="{MARGIN + at * side:.1f}" y="{top + down * side:.1f}" width="{side:.1f}" height="{side:.1f}" '
        f'fill="{_colour(cell, low, high)}"><title>{_cell(cell)}</title></rect>'
        for down, row in enumerate(heatmap.rows)
        for at, cell in enumerate(row)
    ]
    below = round(top + n_rows * side + LINE)
    wrong = ", black: not finite" if len(finite) < n_rows * n_columns else ""
    words = f"blue below zero, red above; {number(low)} to {number(high)}{wrong}{cell_words(heatmap)}"
    return [*parts, _words(MARGIN, below - 4, words)], round(n_rows * side + LINE)


def _colour(cell: float, low: float, high: float) -> str:
    """White at zero, blue below, red above, as strong as the larger of the two ends."""
    if not math.isfinite(cell):
        return "#000"
    strongest = max(abs(low), abs(high)) or 1.0
    share = abs(cell) / strongest
    end = ABOVE if cell >= 0 else BELOW
    return "#" + "".join(f"{round(247 + (part - 247) * share):02x}" for part in end)


def _cell(cell: float) -> str:
    return number(cell) if math.isfinite(cell) else "not finite"


def _words(x: float, y: float, words: str, *, bold: bool = False, anchor: str = "start") -> str:
    weight = ' font-weight="600"' if bold else ""
    return f'<text x="{x}" y="{y}" text-anchor="{anchor}"{weight}>{html.escape(words)}</text>'
