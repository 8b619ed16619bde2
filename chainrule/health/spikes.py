"""When a step is out of line: a criterion that a noisy curve does not meet and a real spike does."""

import math
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

# A normal deviate lies this many median absolute deviations from its median once in 1 / Φ⁻¹(3/4) standard deviations.
SIGMA_PER_MAD = 1.4826
WINDOW, LEAST = 64, 16
# With 64 values the MAD itself is off by a fifth or so; eight of it are more than six true standard deviations, which
# a normal curve exceeds once in a billion steps. The noise of small batches has longer tails, hence not five.
SCORE = 8.0
# A curve that happens to be very smooth must not make a spike of every ripple: the least that counts as one deviation.
# For the loss, nats per token; for the gradient's norm, of its logarithm: eight of 0.1 are a factor of 2.2.
FLOORS = {"loss": 0.05, "gradient norm": 0.1}


@dataclass(frozen=True)
class Excess:
    """What was out of line at a step: `value` against the `usual` one, by `score` robust standard deviations."""

    what: str
    value: float
    usual: float
    score: float


def robust_score(value: float, usual: Sequence[float], floor: float) -> float:
    """(value - median) / max(1.4826 MAD, floor): how many standard deviations above, blind to a few outliers.

    Infinite for a value that is not finite; 0 when there is nothing to compare it with.
    """
    if not math.isfinite(value):
        return math.inf
    finite = [one for one in usual if math.isfinite(one)]
    if not finite:
        return 0.0
    middle = median(finite)
    spread = SIGMA_PER_MAD * median(abs(one - middle) for one in finite)
    return (value - middle) / max(spread, floor)


def ratio_score(value: float, usual: Sequence[float], floor: float = FLOORS["gradient norm"]) -> float:
    """`robust_score` of logarithms, for quantities that are multiplied rather than added: norms, sizes."""
    logs = [math.log(one) for one in usual if math.isfinite(one) and one > 0]
    if not math.isfinite(value):
        return math.inf
    return robust_score(math.log(value), logs, floor) if value > 0 else 0.0


def sigma_excesses(
    loss: float, grad_norm: float, past: Sequence[Sequence[float]], sigma: float, window: int
) -> tuple[Excess, ...]:
    """What of a step lies more than `sigma` standard deviations above the mean of the last `window` steps.

    `past` has the loss and the gradient norm of each. Nothing before half of the window is known, and nothing of a step
    that is not finite. This is OLMo's criterion (6 sigma over 128 steps), which asks for less of a noisy curve than
    SpikeDetector does: an action needs no more than a rule that a checkpoint can hold.
    """
    known = past[-window:]
    if len(known) < max(2, window // 2):
        return ()
    found = []
    for place, (what, value) in enumerate((("loss", loss), ("gradient norm", grad_norm))):
        usual = [one[place] for one in known]
        middle = math.fsum(usual) / len(usual)
        spread = math.sqrt(math.fsum((one - middle) ** 2 for one in usual) / (len(usual) - 1))
        if math.isfinite(value) and value > middle + sigma * spread:
            found.append(Excess(what, value, middle, (value - middle) / spread if spread else math.inf))
    return tuple(found)


class SpikeDetector:
    """Holds each step against the 64 before it.

    A spike is a loss or a gradient norm that is not finite, or whose robust score exceeds 8; before 16 values are
    known only the first counts. A level that lasts stops being a spike once it makes up half of the window.
    """

    def __init__(self) -> None:
        self.losses: deque[float] = deque(maxlen=WINDOW)
        self.norms: deque[float] = deque(maxlen=WINDOW)

    def see(self, loss: float, grad_norm: float) -> tuple[Excess, ...]:
        """What is out of line at this step, which then belongs to the past of the next."""
        known = len(self.losses) >= LEAST
        found = []
        for what, value, past, score in (
            ("loss", loss, self.losses, robust_score),
            ("gradient norm", grad_norm, self.norms, ratio_score),
        ):
            excess = score(value, past, FLOORS[what])
            if excess > SCORE and (known or math.isinf(excess)):
                found.append(Excess(what, value, median(past) if past else math.nan, excess))
            if math.isfinite(value):
                past.append(value)
        return tuple(found)
