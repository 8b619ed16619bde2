"""Curves as a picture of their own: SVG without a script, coloured by the page's style."""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from chainrule.show.html import Html, join, tag

WIDTH, HEIGHT = 720, 320
LEFT, RIGHT, TOP, BOTTOM = 58, 14, 12, 44
N_COLOURS = 8
# The beginning of a curve, in which a model only finds out what is frequent, would press the rest flat.
SHOWN_FROM, ROOM = 0.1, 0.06
Point = tuple[float, float]


@dataclass(frozen=True)
class Curve:
    """A line of the picture: `spread` is by how much each point may be off, up and down, where that is known.

    Around a line it is a band, at points that stand alone a bar.
    """

    name: str
    points: Sequence[Point]
    spread: Sequence[float] = ()
    dots: bool = False
    """Points that are measured one by one; a line joins them all the same."""
    line: bool = True


@dataclass(frozen=True)
class Axes:
    """What the picture is of: words for both directions, and how a number of the lower one is written."""

    title: str
    across: str
    up: str
    written: Callable[[float], str] = "{:g}".format
    log: bool = False
    """Whether the lower one goes by ratios."""
    whole: bool = False
    """Whether the beginning is shown as well."""


def line_chart(curves: Sequence[Curve], axes: Axes) -> Html:
    """The picture with its title and a legend; empty where no curve has a point."""
    drawn = [curve for curve in curves if curve.points]
    if not drawn:
        return Html("")
    scale = _Scale.of(drawn, axes)
    parts = [_grid(scale, axes), *(_curve(curve, place % N_COLOURS, scale) for place, curve in enumerate(drawn))]
    picture = tag(
        "svg",
        join(parts),
        role="img",
        aria_label=f"{axes.title}: {axes.up} over {axes.across}, {len(drawn)} curves",
        **{"viewBox": f"0 0 {WIDTH} {HEIGHT}"},
    )
    keys = (
        tag("span", tag("i", class_=f"c{place % N_COLOURS}"), curve.name, class_="key")
        for place, curve in enumerate(drawn)
    )
    return tag("figure", tag("figcaption", tag("b", axes.title), join(keys)), picture, class_="line-chart")


@dataclass(frozen=True)
class _Scale:
    left: float
    right: float
    low: float
    high: float
    log: bool

    @classmethod
    def of(cls, curves: Sequence[Curve], axes: Axes) -> "_Scale":
        """All points, but for the beginnings of the curves; error bars inside."""
        xs = [x for curve in curves for x, _ in curve.points]
        left, right = min(xs), max(xs)
        since = left if axes.whole or axes.log else left + SHOWN_FROM * (right - left)
        ends = [end for curve in curves for x, *ys in _with_spread(curve) if x >= since for end in ys]
        low, high = min(ends), max(ends)
        room = ROOM * (high - low) or 0.05 * abs(high) or 1.0
        if left == right:
            left, right = (left / 2, right * 2) if axes.log and left > 0 else (left - 0.5, right + 0.5)
        return cls(left, right, low - room, high + room, axes.log)

    def x(self, value: float) -> float:
        """In the picture's units."""
        f = math.log if self.log else float
        return LEFT + (f(value) - f(self.left)) / (f(self.right) - f(self.left)) * (WIDTH - LEFT - RIGHT)

    def y(self, value: float) -> float:
        """In the picture's units, from the top down; what lies above or below runs along the edge."""
        share = (value - self.low) / (self.high - self.low)
        return TOP + (1 - min(max(share, 0.0), 1.0)) * (HEIGHT - TOP - BOTTOM)


def round_steps(low: float, high: float, most: int = 6) -> list[float]:
    """Round numbers from `low` to `high`, at most about `most`: 1, 2 or 5 times a power of ten apart."""
    if not high > low:
        return [low]
    rough = (high - low) / most
    size = 10.0 ** math.floor(math.log10(rough))
    apart = next(size * times for times in (1, 2, 5, 10) if size * times >= rough)
    first, last = math.ceil(low / apart - 1e-9), math.floor(high / apart + 1e-9)
    return [place * apart for place in range(first, last + 1)]


def _powers(low: float, high: float) -> list[float]:
    """1, 2 and 5 times powers of ten between the two; powers alone over many of them."""
    times = (1, 2, 5) if high / low < 100 else (1,)
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    return [digit * 10.0**power for power in powers for digit in times if low <= digit * 10.0**power <= high]


def _grid(scale: _Scale, axes: Axes) -> Html:
    return join([*_across(scale, axes), *_up(scale, axes)])


def _across(scale: _Scale, axes: Axes) -> Iterator[Html]:
    floor = HEIGHT - BOTTOM
    for value in _powers(scale.left, scale.right) if scale.log else round_steps(scale.left, scale.right):
        at = f"{scale.x(value):.1f}"
        yield tag("line", class_="grid", x1=at, x2=at, y1=TOP, y2=floor)
        yield tag("text", axes.written(value), x=at, y=floor + 17, text_anchor="middle")
    yield tag("text", axes.across, x=(LEFT + WIDTH - RIGHT) / 2, y=HEIGHT - 6, text_anchor="middle", class_="axis")


def _up(scale: _Scale, axes: Axes) -> Iterator[Html]:
    steps = round_steps(scale.low, scale.high)
    digits = max(0, 1 - math.floor(math.log10(steps[1] - steps[0]))) if len(steps) > 1 else 3
    for value in steps:
        at = f"{scale.y(value):.1f}"
        yield tag("line", class_="grid", x1=LEFT, x2=WIDTH - RIGHT, y1=at, y2=at)
        yield tag("text", f"{value:.{max(0, digits - 1)}f}", x=LEFT - 8, y=f"{float(at) + 4:.1f}", text_anchor="end")


def _curve(curve: Curve, colour: int, scale: _Scale) -> Html:
    parts = []
    at = [(scale.x(x), scale.y(y)) for x, y in curve.points]
    if curve.spread:
        ends = [(scale.x(x), scale.y(low), scale.y(high)) for x, low, high in _with_spread(curve)]
        if curve.line:
            band = [f"{x:.1f},{y:.1f}" for x, y, _ in ends] + [f"{x:.1f},{y:.1f}" for x, _, y in reversed(ends)]
            parts.append(tag("polygon", points=" ".join(band), class_="band"))
        else:
            parts += [tag("line", x1=f"{x:.1f}", x2=f"{x:.1f}", y1=f"{a:.1f}", y2=f"{b:.1f}") for x, a, b in ends]
    if curve.line:
        parts.append(tag("path", d="".join(f"{'L' if i else 'M'}{x:.1f} {y:.1f}" for i, (x, y) in enumerate(at))))
    if curve.dots or len(at) == 1:
        parts += [tag("circle", cx=f"{x:.1f}", cy=f"{y:.1f}", r=4) for x, y in at]
    return tag("g", tag("title", curve.name), join(parts), class_=f"curve c{colour}")


def _with_spread(curve: Curve) -> Iterator[tuple[float, float, float]]:
    """Each point with its lower and upper end."""
    spread = curve.spread or [0.0] * len(curve.points)
    for (x, y), by in zip(curve.points, spread, strict=True):
        yield x, y - by, y + by
