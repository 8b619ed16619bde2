"""The tables of a comparison, as a terminal and the page both show them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from statistics import fmean, stdev

from chainrule.base import count_text, duration_text
from chainrule.compare.curves import Axis, Mark, Measured
from chainrule.compare.found import Comparison, shown
from chainrule.compare.groups import Group
from chainrule.verdict import spread_text

SPREAD = "± is the standard deviation over seeds; of one seed it is not known"
TITLES: dict[Axis, str] = {
    "tokens": "At equal tokens",
    "flops": "At equal computation",
    "seconds": "At equal time of training",
}
HEADS: dict[Axis, str] = {"tokens": "tokens", "flops": "operations", "seconds": "time"}
SHORT_SECONDS = 20
UNITS: dict[Axis, str] = {"tokens": "tokens", "flops": "floating-point operations", "seconds": "time of training"}


@dataclass(frozen=True)
class Shown:
    """A table: a title, a quiet sentence, the heads, the rows, and how many columns are words."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    left: int = 1
    note: str = ""


def at_text(axis: Axis, value: float) -> str:
    """A place of an axis."""
    if axis != "seconds":
        return count_text(value)
    return f"{value:.1f} s" if value < SHORT_SECONDS else duration_text(value)


def comparison_tables(found: Comparison) -> Iterator[Shown]:
    """The runs, their settings where they differ, and their curves at equal cost."""
    columns = ("run", "status", "seeds", "bits per byte", "tokens", "operations", "time")
    yield Shown("Runs", columns, [_run(group) for group in found.groups], left=3, note=SPREAD)
    names = [group.name for group in found.groups]
    rows = [(key, *(shown(values[name]) for name in names)) for key, values in found.settings.items()]
    title = "Settings that differ" if rows else "All settings are equal"
    yield Shown(title, ("setting", *names), rows, left=1 + len(names))
    for axis, marks in found.marks.items():
        if marks:
            yield _curves(axis, marks, names)


def _run(group: Group) -> tuple[str, ...]:
    seeds = ", ".join(str(one.seed) for one in group.members)
    bits = spread_text(list(group.finals().values()))
    tokens = group.own.tokens
    operations = count_text(tokens * group.flops_per_token)
    times = [one.seconds for one in group.members]
    time = duration_text(fmean(times)) + (f" ± {duration_text(stdev(times))}" if len(times) > 1 else "")
    return group.name, group.own.status, seeds, bits, count_text(tokens), operations, time


def _curves(axis: Axis, marks: Sequence[Mark], names: Sequence[str]) -> Shown:
    first, others = names[0], names[1:]
    columns = (HEADS[axis], *names, *(f"{name} − {first}" for name in others))
    rows = []
    for mark in marks:
        values = [_with_spread(mark.bits[name]) for name in names]
        apart = [_with_spread(mark.apart[name], sign="+") if name in mark.apart else "–" for name in others]
        rows.append((at_text(axis, mark.at), *values, *apart))
    several = all(one.spread is not None for mark in marks for one in (*mark.bits.values(), *mark.apart.values()))
    note = "Bits per byte of held-out text, straight lines between looks; differences are of equal seeds"
    more = "" if several else "; of one seed where no ± stands"
    return Shown(TITLES[axis], columns, rows, left=0, note=f"{note}{more}")


def _with_spread(found: Measured, sign: str = "") -> str:
    return f"{found.mean:{sign}.4f}" + ("" if found.spread is None else f" ± {found.spread:.4f}")
