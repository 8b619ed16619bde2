"""The gradient noise scale: how large a batch is worth its tokens, from gradients that are computed anyway."""

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class NoiseScale:
    """Unbiased estimates of the squared true gradient and of the summed variance of one sample's gradient.

    Both are means over `n_steps` steps; either may come out negative where there are too few to tell.
    """

    gradient_squared: float = 0.0
    variance: float = 0.0
    n_steps: int = 0

    @property
    def samples(self) -> float | None:
        """B_simple = variance / gradient_squared, in samples; None while an estimate is not positive."""
        if self.gradient_squared <= 0 or self.variance <= 0 or not math.isfinite(self.variance):
            return None
        return self.variance / self.gradient_squared

    def __add__(self, other: "NoiseScale") -> "NoiseScale":
        """The mean over the steps of both: the two parts are averaged before they are divided."""
        steps = self.n_steps + other.n_steps
        if not steps:
            return self
        mine, theirs = self.n_steps / steps, other.n_steps / steps
        return NoiseScale(
            mine * self.gradient_squared + theirs * other.gradient_squared,
            mine * self.variance + theirs * other.variance,
            steps,
        )


def noise_scale(small_norm: float, small: int, big_norm: float, big: int) -> NoiseScale:
    """The estimate of one step (McCandlish et al., arXiv 1812.06162, appendix A.1).

    `small_norm` and `big_norm` are norms of mean gradients over `small` and `big` samples. For independent samples
    E|g_b|² = |G|² + variance / b whatever b, so two of them solve for both unknowns. The expectation is linear:
    it holds although the small batch is a part of the big one, as the first micro-batch is of its step.
    """
    if not 0 < small < big:
        raise ValueError(f"a noise scale needs 0 < small < big samples, not {small} and {big}")
    small_square, big_square = small_norm**2, big_norm**2
    gradient = (big * big_square - small * small_square) / (big - small)
    variance = (small_square - big_square) / (1 / small - 1 / big)
    return NoiseScale(gradient, variance, 1)
