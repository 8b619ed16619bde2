"""Is one way of training better than another, or only luckier? Differences of equal seeds, and Student's interval.

Two runs with one seed begin with the same weights (where their shapes are equal) and read the text in the same order,
so that much of the luck is the same on both sides and their difference varies less than either of them.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, stdev
from typing import Literal

from chainrule.verdict.verdicts import Verdict

CONFIDENCE = 0.95
# From here on Student's factor is below 3: with two or three pairs it is 12.7 and 4.3, and an interval is wide.
ENOUGH_PAIRS = 4
Outcome = Literal["better", "worse", "noise", "unknown"]


@dataclass(frozen=True)
class Paired:
    """`mean` of the differences second - first over `n` seeds that both have, and half of its interval.

    `of` is the mean of the first, of which shares are told; `half` is None for a single pair, which tells no spread.
    """

    mean: float
    half: float | None
    n: int
    of: float
    confidence: float = CONFIDENCE

    @property
    def interval(self) -> tuple[float, float] | None:
        """Where the difference of the two ways of training lies, with that confidence."""
        return None if self.half is None else (self.mean - self.half, self.mean + self.half)

    @property
    def outcome(self) -> Outcome:
        """Of the second, where less is better: by the interval alone, whichever way the mean points."""
        if self.interval is None:
            return "unknown"
        low, high = self.interval
        return "better" if high < 0 else "worse" if low > 0 else "noise"


def paired(first: Mapping[int, float], second: Mapping[int, float], confidence: float = CONFIDENCE) -> Paired | None:
    """The differences of the seeds that both have, by seed; None where they share none."""
    seeds = sorted(first.keys() & second.keys())
    if not seeds:
        return None
    differences = [second[seed] - first[seed] for seed in seeds]
    n = len(seeds)
    half = student(confidence, n - 1) * stdev(differences) / math.sqrt(n) if n > 1 else None
    return Paired(fmean(differences), half, n, fmean(first[seed] for seed in seeds), confidence)


def shared_confidence(n_comparisons: int) -> float:
    """What each of several comparisons needs, so that all intervals together hold as often as one (Bonferroni)."""
    return 1 - (1 - CONFIDENCE) / max(1, n_comparisons)


def student(confidence: float, degrees: int) -> float:
    """The t that Student's variable stays below in magnitude with this probability, for 1 degree of freedom or more.

    The distribution by its finite sums (Abramowitz and Stegun, 26.7.3 and 26.7.4), turned round by halving.
    """
    if degrees < 1 or not 0 < confidence < 1:
        raise ValueError(f"Student's t needs a degree of freedom and a confidence below 1: {degrees}, {confidence}")
    low, high = 0.0, math.pi / 2
    for _ in range(100):
        middle = (low + high) / 2
        low, high = (middle, high) if _within(middle, degrees) < confidence else (low, middle)
    return math.sqrt(degrees) * math.tan(low)


def _within(angle: float, degrees: int) -> float:
    """P(|T| < t) for t = √degrees · tan(angle)."""
    cosine, odd = math.cos(angle), degrees % 2
    total, term = 0.0, cosine if odd else 1.0
    for k in range(1, degrees // 2 + 1) if not odd else range(1, (degrees - 1) // 2 + 1):
        total += term
        term *= cosine**2 * (2 * k / (2 * k + 1) if odd else (2 * k - 1) / (2 * k))
    total *= math.sin(angle)
    return 2 / math.pi * (angle + total) if odd else total


def jackknife_half(without_one: Sequence[float]) -> float:
    """Half of the 95 % interval of an estimate, from what it becomes when each of its groups in turn is left out.

    The jackknife's standard error (Efron and Stein 1981) times Student's factor; two groups or more.
    """
    n, mean = len(without_one), fmean(without_one)
    error = math.sqrt((n - 1) / n * sum((one - mean) ** 2 for one in without_one))
    return student(CONFIDENCE, n - 1) * error


def spread_text(values: Sequence[float], digits: int = 4) -> str:
    """The mean with its standard deviation over seeds; of a single value that its spread is not known."""
    if not values:
        return "–"
    if len(values) == 1:
        return f"{values[0]:.{digits}f} (one seed)"
    return f"{fmean(values):.{digits}f} ± {stdev(values):.{digits}f}"


def judge_pair(first: str, second: str, difference: Paired | None) -> Verdict:
    """Which of the two needs fewer bits per byte, by how much, and whether that is more than noise."""
    if difference is None:
        return Verdict(
            "comparison",
            "note",
            f"{first} and {second} have no seed in common, so that nothing pairs them.",
            "--seeds 3 trains what is missing.",
        )
    share = abs(difference.mean) / difference.of if difference.of else 0.0
    better, worse = (second, first) if difference.mean < 0 else (first, second)
    by = f"{better} is better than {worse} by {abs(difference.mean):.4f} bits per byte ({share:.1%}"
    if difference.half is None:
        said = f"{by}, of one seed): whether that is more than noise a single seed cannot tell."
        return Verdict("comparison", "note", said, "--seeds 3 trains what is missing.")
    middle = abs(difference.mean)
    ends = f"{middle - difference.half:.4f} to {middle + difference.half:.4f}"
    interval = f"{100 * difference.confidence:.3g} % interval {ends} from {difference.n} pairs of equal seeds"
    said = f"{by}; {interval})"
    if difference.outcome == "noise":
        remedy = f"{difference.n} seeds are few: more of them narrow the interval."
        remedy = remedy if difference.n < ENOUGH_PAIRS else ""
        if difference.mean == 0:
            return Verdict("comparison", "note", f"{first} and {second} are equal in {difference.n} seeds.", remedy)
        return Verdict("comparison", "note", f"{said}: within noise.", remedy)
    few = f" ({difference.n} seeds are few)" if difference.n < ENOUGH_PAIRS else ""
    return Verdict("comparison", "good", f"{said}: more than noise{few}.")
