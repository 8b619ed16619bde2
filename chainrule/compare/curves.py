"""Held-out curves of several runs at equal tokens, equal computation or equal time."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, stdev
from typing import Literal

from chainrule.run import EvalRow, RunFolder, rows_of

Axis = Literal["tokens", "flops", "seconds"]
AXES: tuple[Axis, ...] = ("tokens", "flops", "seconds")
N_MARKS = 6
Line = Sequence[tuple[float, float]]


@dataclass(frozen=True)
class Look:
    """Bits per byte of held-out text after so many tokens and seconds of training."""

    tokens: int
    seconds: float
    bits: float


@dataclass(frozen=True)
class Measured:
    """A mean over seeds with its standard deviation, which a single seed does not tell."""

    mean: float
    spread: float | None

    @classmethod
    def of(cls, values: Sequence[float]) -> "Measured":
        """Of one value or more."""
        return cls(fmean(values), stdev(values) if len(values) > 1 else None)


@dataclass(frozen=True)
class Mark:
    """The runs at one place of an axis, by name; `apart` is each other's difference from the first, of equal seeds."""

    at: float
    bits: Mapping[str, Measured]
    apart: Mapping[str, Measured]


def looks_of(run: RunFolder) -> tuple[Look, ...]:
    """The looks of a run, tokens rising."""
    rows = rows_of(run.metrics, EvalRow)
    found = {row.tokens: Look(row.tokens, row.seconds, row.val_bits_per_byte) for row in rows if row.val_bits_per_byte}
    return tuple(found[tokens] for tokens in sorted(found))


def line_of(looks: Sequence[Look], axis: Axis, flops_per_token: float) -> Line:
    """The looks as points over that axis."""
    place: dict[Axis, Callable[[Look], float]] = {
        "tokens": lambda look: float(look.tokens),
        "flops": lambda look: look.tokens * flops_per_token,
        "seconds": lambda look: look.seconds,
    }
    return [(place[axis](look), look.bits) for look in looks]


def at_equal(lines: Mapping[str, Mapping[int, Line]], n_marks: int = N_MARKS) -> list[Mark]:
    """All runs at the same places, over the range that all cover; `lines` are those of each name's seeds.

    Between two looks a straight line is drawn. Places are those of the first run, the end of the shortest among them.
    """
    every = [line for seeds in lines.values() for line in seeds.values()]
    if not every or not all(every):
        return []
    low, high = max(line[0][0] for line in every), min(line[-1][0] for line in every)
    if high < low:
        return []
    places = sorted({x for x, _ in every[0] if low <= x <= high} | {high})
    if len(places) > n_marks:
        places = [places[round(place * (len(places) - 1) / (n_marks - 1))] for place in range(n_marks)]
    return [_mark(lines, place) for place in places]


def mean_line(seeds: Mapping[int, Line]) -> tuple[Line, list[float]]:
    """The mean over seeds at the first one's places that all cover, and the standard deviation there; none of one."""
    found = [(mark.at, mark.bits[""]) for mark in at_equal({"": seeds}, n_marks=10**9)]
    return [(at, one.mean) for at, one in found], [one.spread for _, one in found if one.spread is not None]


def _mark(lines: Mapping[str, Mapping[int, Line]], at: float) -> Mark:
    values = {name: {seed: between(line, at) for seed, line in seeds.items()} for name, seeds in lines.items()}
    first, *others = values
    pairs = {name: values[name].keys() & values[first].keys() for name in others}
    apart = {name: [values[name][seed] - values[first][seed] for seed in sorted(pairs[name])] for name in others}
    return Mark(
        at,
        {name: Measured.of(list(found.values())) for name, found in values.items()},
        {name: Measured.of(found) for name, found in apart.items() if found},
    )


def between(line: Line, at: float) -> float:
    """The height of a line inside its range, straight between its points."""
    after = next((place for place, point in enumerate(line) if point[0] >= at), len(line) - 1)
    (right, high), (left, low) = line[after], line[max(after - 1, 0)]
    return high if right == left else low + (high - low) * (at - left) / (right - left)
