"""What rates a model bears: one short training whose rate rises in a line, far beyond the default (Smith 2015)."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from chainrule.run import RunFolder, TrainRow, rows_of

STEPS, HIGHEST = 128, 16.0
# A mean over so many steps, and by which share of all that was learnt the loss must have risen from its lowest.
MEMORY, RISEN = 8, 0.05
# The best rate of a run with a schedule lies below what diverges; how far is for the trials to tell.
START_BELOW_EDGE = 4.0


@dataclass(frozen=True)
class RangeTest:
    """The loss at each factor of the default's rates, and the factor from which it rises; None where it never did."""

    points: tuple[tuple[float, float], ...]
    edge: float | None

    @property
    def start(self) -> float:
        """A factor to begin at: the default's, unless that is near the edge or beyond."""
        if self.edge is None or self.edge >= START_BELOW_EDGE:
            return 1.0
        return 2.0 ** math.floor(math.log2(self.edge / START_BELOW_EDGE))


def read_range_test(run: RunFolder, default_rate: float) -> RangeTest:
    """What its journal shows; `default_rate` is that of the setting which the journal shows."""
    rows = rows_of(run.metrics, TrainRow)
    return found([(row.lr / default_rate, row.loss) for row in rows if row.loss is not None and row.lr])


def found(points: Sequence[tuple[float, float]]) -> RangeTest:
    """The edge of a curve of (factor, loss), by a mean over the last few steps."""
    smooth: list[tuple[float, float]] = []
    for place, (factor, _) in enumerate(points):
        recent = [loss for _, loss in points[max(0, place - MEMORY + 1) : place + 1]]
        smooth.append((factor, sum(recent) / len(recent)))
    edge = None
    if smooth:
        lowest = min(range(len(smooth)), key=lambda at: smooth[at][1])
        limit = smooth[lowest][1] + RISEN * (smooth[0][1] - smooth[lowest][1])
        edge = next((factor for factor, loss in smooth[lowest:] if loss > limit or not math.isfinite(loss)), None)
    return RangeTest(tuple(smooth), edge)
