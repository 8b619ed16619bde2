"""When a difference is more than rounding: Student's distribution, and the tolerance that is made of a few samples."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

# One false alarm in a thousand verifications of exact gradients, over all tensors together.
FALSE_ALARM = 1e-3


@dataclass(frozen=True)
class Tolerance:
    """`limit` is the largest relative error that rounding explains, `expected` the usual one.

    `noticed` is the smallest error in a gradient that would have been found: it lies above the limit even when rounding
    takes the expected part of it away.
    """

    limit: float
    expected: float
    n_samples: int

    @property
    def noticed(self) -> float:
        """The smallest error that would have been noticed."""
        return self.limit + self.expected


def tolerance(samples: Sequence[float], n_tensors: int, floor: float, engines: int = 2) -> Tolerance:
    """The limit for one of `n_tensors` tensors, from sampled errors of it: √engines · t · √(mean of squares).

    t is the quantile of Student's distribution with as many degrees of freedom as there are samples, at 1 − 0.001/n (n
    tensors are looked at, so each may raise a thousandth of 1/n false alarms: Bonferroni), two-sided. It is exact for a
    single number with normal errors; the largest error of many varies less, so that there the limit is wide. Two
    engines that both round differ √2 times as much as one from the truth. No limit is below `floor`, one rounding. A
    sample that is not finite says nothing and is left out.
    """
    finite = [one for one in samples if math.isfinite(one)] or [0.0]
    usual = math.sqrt(engines * sum(one * one for one in finite) / len(finite))
    limit = student_quantile(1 - FALSE_ALARM / max(n_tensors, 1), len(finite)) * usual
    return Tolerance(max(limit, floor), max(usual, floor), len(samples))


def student_quantile(confidence: float, freedom: int) -> float:
    """The bound that a Student variable's size stays below with this probability; `freedom` is a whole number.

    Found by halving: the distribution is that of Abramowitz and Stegun, 26.7.3 and 26.7.4.
    """
    low, high = 0.0, math.pi / 2
    for _ in range(100):
        middle = (low + high) / 2
        low, high = (middle, high) if _within(middle, freedom) < confidence else (low, middle)
    return math.tan((low + high) / 2) * math.sqrt(freedom)


def _within(angle: float, freedom: int) -> float:
    """The probability of |t| ≤ √freedom · tan(angle)."""
    cosine, total, term = math.cos(angle), 0.0, 1.0
    odd = freedom % 2
    term = cosine if odd else 1.0
    for k in range(1, freedom // 2 + 1):
        total += term
        # Odd: cos, 2/3 cos³, 2·4/(3·5) cos⁵, …; even: 1, 1/2 cos², 1·3/(2·4) cos⁴, …
        term *= cosine * cosine * (2 * k / (2 * k + 1) if odd else (2 * k - 1) / (2 * k))
    if odd:
        return 2 / math.pi * (angle + math.sin(angle) * total)
    return math.sin(angle) * total
