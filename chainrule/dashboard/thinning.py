"""A curve of any length in bounded memory, from its first row on, with its lowest and highest values kept.

Rows are gathered in buckets of as many neighbours as it takes; once there are too many buckets, each two become one.
A spike of one step among a hundred thousand so stays in the picture, which means or every hundredth row would lose.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from chainrule.run import EvalRow, TrainRow

MOST_BUCKETS = 2048
DIGITS = 6
Figures = dict[str, list[float | None]]


@dataclass
class Bucket:
    """Neighbouring rows: how many, where the last of them stands, and of each figure count, sum, lowest and highest."""

    count: int
    place: tuple[int, int, float]
    figures: list[tuple[int, float, float, float] | None]

    def add(self, other: "Bucket") -> None:
        """Takes up the rows of its right neighbour."""
        self.count += other.count
        self.place = other.place
        for at, (mine, theirs) in enumerate(zip(self.figures, other.figures, strict=True)):
            if mine is None or theirs is None:
                self.figures[at] = mine or theirs
            else:
                low, high = min(mine[2], theirs[2]), max(mine[3], theirs[3])
                self.figures[at] = (mine[0] + theirs[0], mine[1] + theirs[1], low, high)


@dataclass
class Curve:
    """The figures `names` of rows that come one after the other."""

    names: tuple[str, ...]
    most: int = MOST_BUCKETS
    buckets: list[Bucket] = field(default_factory=list)
    together: int = 1
    """Rows of a full bucket, a power of two. Buckets that were given out stay as they are until it doubles."""
    last: TrainRow | EvalRow | None = None

    def add(self, row: TrainRow | EvalRow) -> None:
        """The next row; one whose step does not rise was there before a kill, and is left out."""
        if self.last is not None and row.step <= self.last.step:
            return
        self.last = row
        values = (getattr(row, name) for name in self.names)
        one = Bucket(
            1,
            (row.step, row.tokens, row.seconds),
            [None if value is None else (1, float(value), float(value), float(value)) for value in values],
        )
        if self.buckets and self.buckets[-1].count < self.together:
            self.buckets[-1].add(one)
            return
        if len(self.buckets) == self.most:
            self._halve()
        self.buckets.append(one)

    @property
    def closed(self) -> int:
        """How many buckets will not change any more."""
        return len(self.buckets) - bool(self.buckets and self.buckets[-1].count < self.together)

    def since(self, start: int, names: Sequence[str] | None = None) -> dict[str, object]:
        """Columns of the buckets from `start` on: `count`, the three places, and of each figure mean, low and high."""
        chosen = self.buckets[start:]
        steps, tokens, seconds = zip(*(one.place for one in chosen), strict=True) if chosen else ((), (), ())
        columns: dict[str, object] = {
            "start": start,
            "count": [one.count for one in chosen],
            "step": list(steps),
            "tokens": list(tokens),
            "seconds": [round(value, 3) for value in seconds],
        }
        for at, name in enumerate(self.names):
            if names is None or name in names:
                columns[name] = self._figures([one.figures[at] for one in chosen])
        return columns

    def _figures(self, found: list[tuple[int, float, float, float] | None]) -> Figures:
        mean = [None if one is None else _short(one[1] / one[0]) for one in found]
        if self.together == 1:
            return {"mean": mean}
        low = [None if one is None else _short(one[2]) for one in found]
        high = [None if one is None else _short(one[3]) for one in found]
        return {"mean": mean, "low": low, "high": high}

    def _halve(self) -> None:
        for left, right in zip(self.buckets[::2], self.buckets[1::2], strict=False):
            left.add(right)
        self.buckets = self.buckets[::2]
        self.together *= 2


def _short(value: float) -> float | None:
    """As many digits as a screen shows: half the bytes. A sum that went beyond all numbers is none."""
    return float(f"{value:.{DIGITS}g}") if math.isfinite(value) else None
