"""One derivative by numbers beside those of the engines, and what all of them say together."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from chainrule.lens.engine import FALSE_ALARM, NOISE_ORDER, NOISE_VALUES, Estimate, student_quantile

Engine = Literal["autograd", "rules"]
State = Literal["measured", "corner", "withdrawn"]
# What is known less well than this proves nothing.
WIDE = 1e-3
# One false alarm in a thousand verifications of a hundred checks; noise is known from so many third differences.
ROUNDING = student_quantile(1 - FALSE_ALARM / 100, NOISE_VALUES - NOISE_ORDER)


@dataclass(frozen=True)
class NumberCheck:
    """One derivative by numbers beside those of the engines (None where one was not asked).

    `size` is the largest element of the tensor's gradient, or for a direction through all weights (`index` is empty)
    the root of the summed squares of gradient times movement. `limit` is what rounding explains in the engines and,
    times the quantile of Student's distribution for so many checks, in the numbers.

    Only what is `measured` can contradict. On a `corner` the loss has two slopes, one to each side; `withdrawn` is what
    steps of no size could settle. Neither is a fault, and `why` says what it was.
    """

    name: str
    index: tuple[int, ...]
    autograd: float | None
    rules: float | None
    numbers: Estimate
    size: float
    limit: float
    state: State = "measured"
    why: str = ""

    def error(self, engine: Engine) -> float:
        """How far the engine's derivative is from that by numbers, over `size`."""
        theirs = self.autograd if engine == "autograd" else self.rules
        return 0.0 if theirs is None or not self.size else abs(theirs - self.numbers.derivative) / self.size

    @property
    def own_error(self) -> float:
        """How far off the numbers say they may be, over `size`."""
        return self.numbers.error / self.size if self.size else 0.0

    @property
    def in_limits(self) -> float:
        """The larger error of the two engines as a multiple of what is explained; 0 of what was not measured."""
        allowed, error = self.own_error + self.limit, max(self.error("autograd"), self.error("rules"))
        return 0.0 if self.state != "measured" or not error else error / allowed if allowed else float("inf")

    @property
    def telling(self) -> bool:
        """Whether an error of a thousandth would have been seen."""
        return self.state == "measured" and self.own_error + self.limit <= WIDE

    def agrees(self, engine: Engine) -> bool:
        """Whether the difference is explained: by the numbers' own error and rounding, or since it was not measured."""
        return self.state != "measured" or self.error(engine) <= self.own_error + self.limit


@dataclass(frozen=True)
class Numbers:
    """What was checked by numbers. `n_coordinates` of `n_asked` were done; `why` says what kept it from the rest."""

    directions: tuple[NumberCheck, ...]
    coordinates: tuple[NumberCheck, ...]
    n_asked: int
    why: str
    n_runs: int

    @property
    def checks(self) -> tuple[NumberCheck, ...]:
        """The directions and the coordinates."""
        return (*self.directions, *self.coordinates)

    @property
    def remarks(self) -> tuple[NumberCheck, ...]:
        """Those on a corner, and those that were withdrawn."""
        return tuple(one for one in self.checks if one.state != "measured")


def check_of(
    name: str,
    index: tuple[int, ...],
    found: Mapping[Engine, float | None],
    estimate: Estimate,
    size: float,
    limit: float,
) -> NumberCheck:
    """With what rounding explains: in the engines, and in the numbers, whose noise was estimated from few values.

    Where every gradient is zero and the slope is not, it is measured by itself: its error is then 1.
    """
    if not size and abs(estimate.derivative) > estimate.error + 2 * ROUNDING * estimate.rounding:
        size = abs(estimate.derivative)
    allowed = limit + ROUNDING * estimate.rounding / size if size else 0.0
    return NumberCheck(name, index, found.get("autograd"), found.get("rules"), estimate, size, allowed)
