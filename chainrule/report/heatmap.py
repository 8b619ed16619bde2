"""A table of numbers as a picture: rows are layers, columns steps, the darker the larger; without any script."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from chainrule.show import Html, join, tag

# Shades that an eye can still tell apart; `.h0` … `.h9` of page.css.
SHADES = 10
ROW_HEIGHT, LEAST_HEIGHT, PICTURE_HEIGHT = 15, 4, 340
LABEL_WIDTH, LABEL_SPACE, LETTER = 152, 13, 6.4
# Ranges narrower than a factor of two are shown as one: noise should not fill the whole scale.
LEAST_RANGE = 2.0


@dataclass(frozen=True)
class Heatmap:
    """Rows of cells by layer, None where nothing is known; `bounds` fixes the scale, which else fits the numbers."""

    key: str
    title: str
    rows: tuple[str, ...]
    steps: tuple[int, ...]
    cells: tuple[tuple[float | None, ...], ...]
    log: bool = False
    bounds: tuple[float, float] | None = None


def heatmap(picture: Heatmap) -> Html:
    """A figure: caption with the range, names of the rows, cells, first and last step, legend."""
    scale = _scale(picture)
    height = max(LEAST_HEIGHT, min(ROW_HEIGHT, PICTURE_HEIGHT // max(1, len(picture.rows))))
    total = height * len(picture.rows)
    names = tag("svg", join(_names(picture.rows, height)), class_="names", width=LABEL_WIDTH, height=total)
    cells = tag(
        "svg",
        join(_shades(picture, scale)),
        class_="cells",
        width="100%",
        height=total,
        viewBox=f"0 0 {len(picture.steps)} {len(picture.rows)}",
        preserveAspectRatio="none",
        role="img",
        aria_label=describe(picture),
    )
    first, last = picture.steps[0], picture.steps[-1]
    axis = tag("p", tag("span", f"step {first:,}"), tag("span", f"{last:,}"), class_="axis")
    return tag(
        "figure",
        tag("figcaption", picture.title, _legend(*scale)),
        tag("div", names, cells, class_="map"),
        axis,
        class_="heatmap",
        data_map=picture.key,
    )


def describe(picture: Heatmap) -> str:
    """The picture in a sentence, for those who do not see it: the rows of the largest and the smallest last value."""
    last = {
        name: known[-1]
        for name, row in zip(picture.rows, picture.cells, strict=True)
        if (known := [value for value in row if value is not None])
    }
    high, low = max(last, key=lambda name: last[name]), min(last, key=lambda name: last[name])
    return (
        f"{picture.title}, {len(picture.rows)} layers, steps {picture.steps[0]} to {picture.steps[-1]}; at the end "
        f"largest in {row_name(high)} ({number(last[high])}), smallest in {row_name(low)} ({number(last[low])})"
    )


def row_name(path: str) -> str:
    """`0 attention` of `blocks.0.attention`, `block 0` of `blocks.0`; a hidden layer by the part that it is in."""
    words = path.split(".")
    place = next((i for i, word in enumerate(words) if word.isdigit()), None)
    kept = words if place is None else words[place : place + 2] if words[place + 1 :] else ["block", words[place]]
    return " ".join(kept).replace("_", " ")


def number(value: float) -> str:
    """Three digits at most, as short as they come."""
    if value and not 1e-3 <= abs(value) < 1e4:
        return f"{value:.1e}".replace("e-0", "e−").replace("e-", "e−").replace("e+0", "e")
    return f"{value:.3g}"


def _scale(picture: Heatmap) -> tuple[float, float]:
    if picture.bounds:
        return picture.bounds
    known = [v for row in picture.cells for v in row if v is not None and (v > 0 or not picture.log)]
    if not known:
        return (1.0, LEAST_RANGE) if picture.log else (0.0, 1.0)
    low, high = min(known), max(known)
    if picture.log and high < LEAST_RANGE * low:
        middle = math.sqrt(low * high)
        low, high = middle / math.sqrt(LEAST_RANGE), middle * math.sqrt(LEAST_RANGE)
    return low, high if high > low else low + 1.0


def _shade(value: float, scale: tuple[float, float], *, log: bool) -> int:
    low, high = scale
    share = math.log(max(value, low) / low) / math.log(high / low) if log else (value - low) / (high - low)
    return min(SHADES - 1, max(0, int(share * SHADES)))


def _shades(picture: Heatmap, scale: tuple[float, float]) -> list[Html]:
    """One path for each shade; neighbours of one shade are one rectangle."""
    paths: dict[int, list[str]] = {}
    for y, row in enumerate(picture.cells):
        shades = [None if value is None else _shade(value, scale, log=picture.log) for value in row]
        start = 0
        for x in range(1, len(shades) + 1):
            if x == len(shades) or shades[x] != shades[start]:
                shade = shades[start]
                if shade is not None:
                    paths.setdefault(shade, []).append(f"M{start} {y}h{x - start}v1H{start}z")
                start = x
    return [tag("path", class_=f"h{shade}", d="".join(parts)) for shade, parts in sorted(paths.items())]


def _names(rows: Sequence[str], height: int) -> list[Html]:
    """The rows' names, as many as there is room for."""
    every = -(-LABEL_SPACE // height)
    most = int(LABEL_WIDTH // LETTER)
    return [
        tag("text", row_name(name)[:most], x=LABEL_WIDTH - 8, y=round((place + 0.5) * height + 4, 1), text_anchor="end")
        for place, name in enumerate(rows)
        if place % every == 0
    ]


def _legend(low: float, high: float) -> Html:
    shades = [tag("rect", class_=f"h{shade}", x=9 * shade, y=0, width=9, height=9) for shade in range(SHADES)]
    strip = tag("svg", join(shades), width=9 * SHADES, height=9, aria_hidden="true")
    return tag("span", number(low), " ", strip, " ", number(high), class_="legend")
