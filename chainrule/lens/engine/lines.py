"""The loss along a line, and its slope by numbers: steps that cross no kink, and what they come to as they shrink."""

import math
from collections.abc import Callable
from itertools import pairwise

from chainrule.lens.engine.differences import UNIT_ROUNDOFF, Estimate, ridders

# Central differences that settle a contradiction: from a hundredth of the line's unit to 1e-10, ten squared apart.
SETTLING = tuple(10.0 ** -(2 + i / 2) for i in range(17))
# A derivative this exact tells a fault of a millionth; more digits would cost runs and tell nothing. Where a run takes
# long, less has to do.
GOOD, FAIR, POOR = 1e-8, 1e-6, 1e-5


class Line:
    """The loss at places along a line through the weights as they are, which is `origin`; each place is run once.

    `moved(x)` is the loss there, `same()` whether that run took the sides of every kink that the run at `origin` took.
    """

    def __init__(self, moved: Callable[[float], float], same: Callable[[], bool], origin: float, loss: float) -> None:
        self.moved, self.same, self.origin, self.loss = moved, same, origin, loss
        self.seen: dict[float, tuple[float, bool]] = {origin: (loss, True)}

    def __call__(self, x: float) -> float:
        """The loss at a place."""
        if x not in self.seen:
            loss = self.moved(x)
            self.seen[x] = loss, self.same()
        return self.seen[x][0]

    def smooth(self, h: float) -> bool:
        """Whether the loss at a distance of h, on both sides, belongs to the smooth piece on which the origin lies."""
        return self._on_piece(self.origin + h) and self._on_piece(self.origin - h)

    def _on_piece(self, x: float) -> bool:
        self(x)
        return self.seen[x][1]

    def crossed(self, since: int) -> bool:
        """Whether a run that was made after the first `since` ones took another side."""
        return not all(same for _, same in list(self.seen.values())[since:])

    def central(self, h: float) -> float:
        """The central difference; of the step that was really made, since origin + h is rounded."""
        above, below = self.origin + h, self.origin - h
        return (self(above) - self(below)) / (above - below)

    def sided(self, h: float) -> float:
        """The difference to one side, by the sign of h."""
        x = self.origin + h
        return (self(x) - self.loss) / (x - self.origin)

    @property
    def n_runs(self) -> int:
        """How many places were run."""
        return len(self.seen)


def slope(line: Line, h0: float, smallest: float, noise: float, size: float, *, hasty: bool = False) -> Estimate | None:
    """The slope at 0 by Ridders' method, from the largest step that stays on the smooth piece; None where none does.

    No step is tried below `smallest`. `size` is what the slope is measured by: it is exact enough at `GOOD` times that.
    Where it comes out poor, smaller first steps are tried: the loss may bend within the first. `hasty` is content with
    `FAIR`, and with three runs where they show that much.
    """
    best: Estimate | None = None
    h = h0
    while h >= smallest:
        if line.smooth(h):
            since = line.n_runs
            found = of_three_runs(line, h, noise)
            if not hasty or found.error > FAIR * size:
                found = ridders(line, h, at=line.origin, noise=noise, enough=(FAIR if hasty else GOOD) * size)
            if not line.crossed(since) and (best is None or found.error < best.error):
                best = found
            floor = best is not None and best.error <= 4 * best.rounding
            if best is not None and (best.error <= POOR * size or floor):
                return best
            h /= 10
        h /= 10
    return best


def of_three_runs(line: Line, h: float, noise: float) -> Estimate:
    """The slope from the loss at 0, h, −h and h/2: the last, freed of curvature, is as good as the difference at h/2.

    Extrapolated like Ridders' first entry, with the same estimate of its error.
    """
    wide = line.central(h)
    half = line.origin + h / 2
    curvature = (line(line.origin + h) + line(line.origin - h) - 2 * line.loss) / (h * h)
    narrow = (line(half) - line.loss) / (half - line.origin) - curvature * h / 4
    end = (4 * narrow - wide) / 3
    rounding = 4 * max(noise, UNIT_ROUNDOFF * abs(line.loss)) / h
    return Estimate(end, max(abs(end - wide), abs(end - narrow), rounding), rounding, line.n_runs)


def settled(line: Line, unit: float, noise: float, certain: float, gap: float) -> Estimate | None:
    """The slope at 0 by what central differences come to as steps fall from 1e-2 to 1e-10 of `unit`, one by one.

    They are followed as long as rounding (`certain` times its standard deviation) is well below `gap`, the
    contradiction that is to be settled. The last three, each extrapolated with the one before, are what they come to;
    how far these are apart is the error. None where too few steps are small enough to tell and large enough to be
    exact, or where they do not converge.

    Ridders' own estimate looks at a few steps of one size only, and does not see what bends in between zero and those.
    """
    differences: list[tuple[float, float]] = []
    for part in SETTLING:
        h = unit * part
        rounding = max(noise, UNIT_ROUNDOFF * abs(line.loss)) / h
        if certain * rounding > gap / 4:
            break
        if line.smooth(h):
            differences.append((line.central(h), rounding))
        else:
            differences.clear()
    ends = [((10 * fine - coarse) / 9, rounding) for (coarse, _), (fine, rounding) in pairwise(differences)][-3:]
    if len(ends) < 3:
        return None
    (first, _), (second, _), (last, rounding) = ends
    # An extrapolated difference is wrong by h to the fourth, a hundredth with every step: what does not even halve is
    # on its way to something else.
    if abs(last - second) > max(abs(second - first) / 2, certain * rounding):
        return None
    return Estimate(last, max(first, second, last) - min(first, second, last), rounding, line.n_runs)


def one_sided(line: Line, unit: float, noise: float) -> tuple[float, float] | None:
    """The slopes to the left and to the right of 0, where there are two that steps of two sizes agree on.

    Only for a line that leaves its smooth piece at once, as through the corner of a ReLU at exactly 0.
    """
    scale = max(noise, UNIT_ROUNDOFF * abs(line.loss))
    for part in (1e-4, 1e-5, 1e-6):
        near, far = part * unit, 2 * part * unit
        sides = []
        for sign in (-1, 1):
            coarse, fine = line.sided(sign * far), line.sided(sign * near)
            sides.append((2 * fine - coarse, abs(fine - coarse) + 8 * scale / near))
        (left, left_error), (right, right_error) = sides
        if max(left_error, right_error) <= 0.1 * abs(right - left) and math.isfinite(left) and math.isfinite(right):
            return left, right
    return None
