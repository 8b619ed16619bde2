"""One derivative by numbers, beside the engines': measured, settled, or found to be on a corner."""

from collections.abc import Callable
from dataclasses import dataclass, replace

from chainrule.lens.engine import (
    UNIT_ROUNDOFF,
    Estimate,
    Line,
    Watched,
    computational_noise,
    one_sided,
    settled,
    slope,
)
from chainrule.lens.prove.number_checks import ROUNDING, WIDE, Engine, NumberCheck

# These come out well at once from steps so many times shorter, where the loss is quiet enough.
SHORTENED, QUIET = 16.0, 5e-10
# So many roundings of the loss are looked at again, with steps so many times shorter.
SUSPICIOUS, SHORTER = 2.0**10, 2.0**6
# Nothing is asked of steps in which rounding makes up this part of the answer.
ALL_ROUNDING = 1e-2
NOTHING = Estimate(0.0, 0.0, 0.0, 0)
# So small that the loss is a straight line but for its rounding, and still many roundings long.
NOISE_ROUNDINGS, LONGEST_NOISE = 2.0**13, 2.0**-6


@dataclass(frozen=True)
class Probe:
    """The loss that is run, its value at the weights as they are, and the standard deviation of its rounding."""

    forward: Watched
    start: float
    noise: float
    hasty: bool = False

    def line(self, moved: Callable[[float], float], origin: float = 0.0) -> Line:
        """A line through the weights as they are, where the loss is known."""
        return Line(moved, lambda: self.forward.same, origin, self.start)

    def check(self, line: Line, unit: float, h0: float, ask: Callable[[Estimate], NumberCheck]) -> NumberCheck:
        """The slope beside the engines'; where it contradicts both, only what smaller steps confirm.

        `unit` is the distance over which the line is settled, `h0` the first step.
        """
        size = ask(NOTHING).size
        if self.hasty and self.noise <= QUIET * h0 * size:
            h0 /= SHORTENED
        # A gradient that is nothing beside the rounding of the loss gets one look, with the first step.
        smallest = min(max(1e-9 * h0, self.noise / (ALL_ROUNDING * size) if size else 0.0), h0)
        estimate = slope(line, h0, smallest, self.noise, size, hasty=self.hasty)
        if estimate is None:
            return self._at_corner(line, unit, ask)
        first = ask(estimate)
        if explained(first) and (first.own_error <= WIDE or not first.size):
            return first
        gap = WIDE * first.size if explained(first) else _gap(first)
        again = settled(line, unit, self.noise, ROUNDING, gap)
        if again is None:
            return first if explained(first) else replace(first, state="withdrawn", why=_unsettled(first))
        second = ask(again)
        if explained(second) or again.error <= _gap(second) / 4:
            return second
        return replace(second, state="withdrawn", why=_unsettled(second))

    def _at_corner(self, line: Line, unit: float, ask: Callable[[Estimate], NumberCheck]) -> NumberCheck:
        """No step stays on the smooth piece: two slopes, or kinks so near that rounding hides what lies before them."""
        sides = one_sided(line, unit, self.noise)
        if sides is None:
            return replace(ask(NOTHING), state="withdrawn", why="every step that rises above rounding crosses a kink")
        left, right = sides
        check = ask(Estimate((left + right) / 2, abs(right - left) / 2, 0.0, line.n_runs))
        return replace(check, state="corner", why=f"slope {left:+.6g} to the left, {right:+.6g} to the right")


def explained(check: NumberCheck) -> bool:
    """Whether one of the engines asked agrees: then the number is right, and the other engine may be wrong."""
    asked: dict[Engine, float | None] = {"autograd": check.autograd, "rules": check.rules}
    return any(check.agrees(engine) for engine, found in asked.items() if found is not None)


def _gap(check: NumberCheck) -> float:
    theirs = [one for one in (check.autograd, check.rules) if one is not None]
    return min((abs(one - check.numbers.derivative) for one in theirs), default=0.0)


def _unsettled(check: NumberCheck) -> str:
    return f"differences come to {check.numbers.derivative:+.6g} ± {check.numbers.error:.0e}, and no closer"


def noise_of(loss: Callable[[float], float], start: float, u: float) -> float:
    """The standard deviation of the rounding of the loss, which is one rounding at least.

    Where it is much more, it may be the curvature of a stiff function, which shorter steps do not see. Where the loss
    does not move at all, a rounding within it is coarser than the loss: longer steps show how much. `u` is the unit
    roundoff of the narrowest format in it.
    """
    step = min(NOISE_ROUNDINGS * u, LONGEST_NOISE)
    least = UNIT_ROUNDOFF * abs(start)
    found = computational_noise(loss, step)
    if found > SUSPICIOUS * least:
        shorter = computational_noise(loss, step / SHORTER)
        # Third differences of a curve fall with the third power of the step; rounding stays, or is not seen at all.
        found = shorter if 0 < shorter * SHORTER**2 < found else found
    while not found and step < LONGEST_NOISE / SHORTER:
        step *= SHORTER
        found = computational_noise(loss, step)
    return max(found, least)
