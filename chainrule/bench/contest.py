"""Sides that take turns, A B A B, one process at a time, so that what the machine does meanwhile meets them alike."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median


@dataclass(frozen=True)
class Reading:
    """What one process of one side showed: its figure in the contest's unit, and what it took.

    `by_cpu` is the figure by processor time, which other programs disturb less: a rate, or seconds. `losses` are those
    of its steps, or the one at its end. `tokens_per_second` where the figure is another; `peak_bytes` are the most
    that it took, and `planned_bytes` what the plan said before.
    """

    figure: float
    wall_seconds: float
    cpu_seconds: float
    by_cpu: float | None = None
    losses: tuple[float, ...] = ()
    tokens_per_second: float | None = None
    peak_bytes: int | None = None
    planned_bytes: int | None = None


@dataclass(frozen=True)
class Side:
    """One of those that are measured: what it is, in words, and how it is read once."""

    name: str
    what: str
    read: Callable[[], Reading]


Readings = Mapping[str, Sequence[Reading]]


def nothing_to_say(readings: Readings) -> tuple[str, ...]:
    """For a contest in which figures are all."""
    return ()


@dataclass(frozen=True)
class Contest:
    """What is measured and by whom; the first side is the yardstick. `judge` says what the readings show besides."""

    name: str
    unit: str
    sides: Sequence[Side]
    larger_is_better: bool = True
    judge: Callable[[Readings], tuple[str, ...]] = nothing_to_say
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class SideResult:
    """One side with all of its readings, in the order of the rounds."""

    name: str
    what: str
    readings: tuple[Reading, ...]

    @property
    def figures(self) -> list[float]:
        """One for each round."""
        return [one.figure for one in self.readings]

    @property
    def middle(self) -> float:
        """The median of the rounds."""
        return median(self.figures)

    @property
    def middle_by_cpu(self) -> float | None:
        """The median of the figures by processor time, where all rounds have one."""
        known = [one.by_cpu for one in self.readings if one.by_cpu is not None]
        return median(known) if len(known) == len(self.readings) else None


@dataclass(frozen=True)
class ContestResult:
    """All sides of a contest, the yardstick first, and what was said of them."""

    name: str
    unit: str
    larger_is_better: bool
    sides: tuple[SideResult, ...]
    notes: tuple[str, ...]

    def ratios(self, side: SideResult) -> list[float]:
        """How many times as good as the yardstick a side was, round by round: what disturbed a round met both."""
        pairs = zip(side.figures, self.sides[0].figures, strict=True)
        return [mine / yard if self.larger_is_better else yard / mine for mine, yard in pairs]


def hold(contest: Contest, rounds: int, tell: Callable[[str], None]) -> ContestResult:
    """Reads every side once a round, in turn; `tell` hears of each reading."""
    readings: dict[str, list[Reading]] = {side.name: [] for side in contest.sides}
    for number in range(rounds):
        for side in contest.sides:
            one = side.read()
            readings[side.name].append(one)
            tell(
                f"{contest.name}, round {number + 1} of {rounds}, {side.name}: {one.figure:,.4g} {contest.unit} "
                f"({one.wall_seconds:.1f} s, {one.cpu_seconds:.1f} s of processor)"
            )
    sides = tuple(SideResult(side.name, side.what, tuple(readings[side.name])) for side in contest.sides)
    notes = (*contest.notes, *contest.judge(readings))
    return ContestResult(contest.name, contest.unit, contest.larger_is_better, sides, notes)
