"""Where a run that goes on will end, foretold from its own looks at held-out text, with an interval."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from chainrule.plan.more import LEAST_LOOKS, SINCE

# ln(loss) against ln(tokens) over the last looks is nearly a straight line, which is drawn on to the last token; the
# decay of the rate makes runs end lower than it says early and higher late. Of 225 such forecasts, of 25 runs at nine
# places from three to nine tenths of their way, 214 held with the fall between these factors of the line's and a share
# besides (benchmarks/foretold_end.py). The factors were chosen on those runs, rounded.
LEAST_FALL, MOST_FALL, LEAST_SHARE = 0.5, 2.0, 0.01
EARLIEST = 0.25


@dataclass(frozen=True)
class ForetoldEnd:
    """What the held-out figure will be at the end, and its interval: 214 of 225 such held."""

    value: float
    low: float
    high: float


def foretell_end(looks: Sequence[tuple[int, float]], tokens: int) -> ForetoldEnd | None:
    """What a run will come to at `tokens`, from (tokens, loss or bits per byte) so far; None where nothing can be said.

    That is before a quarter of the way, with fewer than four looks in the last 60 % of what is done, without a fall,
    and at the end.
    """
    sound = [(at, value) for at, value in looks if at > 0 and math.isfinite(value) and value > 0]
    if not sound or not EARLIEST * tokens <= sound[-1][0] < tokens:
        return None
    last = [(math.log(at), math.log(value)) for at, value in sound if at >= SINCE * sound[-1][0]]
    if len(last) < LEAST_LOOKS:
        return None
    middle_x, middle_y = (sum(values) / len(last) for values in zip(*last, strict=True))
    spread = sum((x - middle_x) ** 2 for x, _ in last)
    slope = -sum((x - middle_x) * (y - middle_y) for x, y in last) / spread if spread else 0.0
    if slope <= 0:
        return None
    here = middle_y - slope * (last[-1][0] - middle_x)
    fall = slope * (math.log(tokens) - last[-1][0])
    low, high = here - MOST_FALL * fall - LEAST_SHARE, here - LEAST_FALL * fall + LEAST_SHARE
    return ForetoldEnd(*(math.exp(value) for value in (here - fall, low, high)))
