"""A curve of braille dots: eight to a cell, a few lines of text, under a millisecond."""

import itertools
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

Point = tuple[float, float]
# The bit of each dot of a braille cell, by column (0, 1) and row (0 to 3) from the top left: Unicode block U+2800.
DOTS = ((0x01, 0x02, 0x04, 0x40), (0x08, 0x10, 0x20, 0x80))
MOST_POINTS = 2048


@dataclass
class Series:
    """A growing curve that forgets detail, not shape: past `MOST_POINTS` neighbours are averaged in pairs."""

    points: list[Point] = field(default_factory=list)
    together: int = 1
    waiting: list[Point] = field(default_factory=list)

    def add(self, x: float, y: float | None) -> None:
        """Appends a point; a missing or non-finite `y` is left out."""
        if y is None or not math.isfinite(y):
            return
        self.waiting.append((x, y))
        if len(self.waiting) >= self.together:
            self.points.append(_mean(self.waiting))
            self.waiting = []
        if len(self.points) > MOST_POINTS:
            self.points = [_mean(self.points[i : i + 2]) for i in range(0, len(self.points), 2)]
            self.together *= 2

    def all(self) -> list[Point]:
        """The points, the unfinished average at the end included."""
        return [*self.points, *([_mean(self.waiting)] if self.waiting else [])]


@dataclass(frozen=True)
class Window:
    """The part of the plane that is drawn: `left` to `right` evenly, `top` to `bottom` (both positive) by ratios,
    because the fall of a loss from 3.0 to 2.9 takes more learning than that from 9 to 8.
    """

    left: float
    right: float
    bottom: float
    top: float

    def value(self, share: float) -> float:
        """The height at `share` of the way from the top down to the bottom."""
        return self.top * (self.bottom / self.top) ** share

    def ticks(self, most: int) -> list[float]:
        """Round heights, at most `most`, from the top down: multiples of 1, 2 or 5 times a power of ten."""
        step = 10.0 ** math.floor(math.log10(max(self.top - self.bottom, 1e-6)) - 2)
        for factor in itertools.cycle((2, 2.5, 2)):
            first, last = math.ceil(self.bottom / step), math.floor(self.top / step)
            if last - first < most:
                return [place * step for place in range(last, first - 1, -1)]
            step *= factor
        raise AssertionError("unreachable: the steps grow")

    def share(self, y: float) -> float:
        """How far down `y` lies, between 0 (top, and all above it) and 1 (bottom, and all below it)."""
        ratio = math.log(self.top / self.bottom)
        return min(max(math.log(self.top / max(y, self.bottom)) / ratio, 0), 1)


@dataclass
class Canvas:
    """`width` × `height` cells of text; dots of later series take the colour of their cell."""

    width: int
    height: int
    window: Window
    cells: dict[tuple[int, int], int] = field(default_factory=dict)
    owners: dict[tuple[int, int], str] = field(default_factory=dict)

    def line(self, points: Sequence[Point], owner: str) -> None:
        """Joins the means of the points of each dot column; what lies above or below the window runs along its edge."""
        columns: dict[int, list[float]] = {}
        for x, y in points:
            columns.setdefault(self._column(x), []).append(y)
        before: tuple[int, int] | None = None
        for column in sorted(columns):
            here = (column, self._row(sum(columns[column]) / len(columns[column])))
            for x, y in _between(before or here, here):
                self._dot(x, y, owner)
            before = here

    def marks(self, points: Sequence[Point], owner: str) -> None:
        """Puts a square of four dots at each point; a marked cell shows nothing else."""
        for x, y in points:
            column, row = self._column(x), self._row(y)
            top = min(row % 4, 2)
            cell = (column // 2, row // 4)
            self.cells[cell] = sum(DOTS[side][top] | DOTS[side][top + 1] for side in (0, 1))
            self.owners[cell] = owner

    def rows(self) -> list[list[tuple[str, str]]]:
        """The lines from the top: characters, each with the name of the series that owns it ("" for blank)."""
        return [[self._cell(x, y) for x in range(self.width)] for y in range(self.height)]

    def _column(self, x: float) -> int:
        share = (x - self.window.left) / ((self.window.right - self.window.left) or 1)
        return round(min(max(share, 0), 1) * (2 * self.width - 1))

    def _row(self, y: float) -> int:
        return round(self.window.share(y) * (4 * self.height - 1))

    def _dot(self, x: int, y: int, owner: str) -> None:
        cell = (x // 2, y // 4)
        self.cells[cell] = self.cells.get(cell, 0) | DOTS[x % 2][y % 4]
        self.owners[cell] = owner

    def _cell(self, x: int, y: int) -> tuple[str, str]:
        bits = self.cells.get((x, y), 0)
        return (chr(0x2800 + bits), self.owners[x, y]) if bits else (" ", "")


def loss_window(train: Sequence[Point], held_out: Sequence[Point], right: float) -> Window:
    """From 0 to `right`; the height shows what is learnt now: once a tenth of the run is done, the fall of its first
    fortieth, in which a model only finds out which tokens are frequent, may lie above the window.
    """
    points = [*train, *held_out]
    if not points:
        return Window(0, right, 1, 10)
    done = max(x for x, _ in points)
    shown = [y for x, y in points if done < right / 10 or x >= right / 40] or [y for _, y in points]
    bottom, top = max(min(shown), 1e-6), max(*shown, 1e-6)
    return Window(0, right, bottom / 1.02, top * 1.02)


def _mean(points: Sequence[Point]) -> Point:
    return sum(x for x, _ in points) / len(points), sum(y for _, y in points) / len(points)


def _between(start: tuple[int, int], end: tuple[int, int]) -> Iterable[tuple[int, int]]:
    steps = max(abs(end[0] - start[0]), abs(end[1] - start[1]), 1)
    for i in range(steps + 1):
        yield (
            round(start[0] + (end[0] - start[0]) * i / steps),
            round(start[1] + (end[1] - start[1]) * i / steps),
        )
