"""A law of one's own: E + A / N^alpha + B / D^beta through measured points, and where it leads, with an interval."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from chainrule.base import ConfigError
from chainrule.plan.laws import LossLaw

Array = NDArray[np.float64]

# As Hoffmann et al. (arXiv 2203.15556, D.2): residuals of ln L beyond this count by their size and not by its square.
HUBER = 1e-3
STARTS, STEPS = 32, 100
# Beyond any exponent and share that was ever measured; what wanders there is no law.
BOUNDS = np.array([[-4.0, 3.0], [-5.0, 40.0], [0.02, 2.0], [-5.0, 40.0], [0.02, 2.0]])
LEAST_POINTS = 3
# What a point was missed by that had hardly more computation is noise, and no drift that grows with the distance: it is
# taken as if it had had so many times more.
LEAST_TIMES = 4.0
MANY_POINTS = 12
BOOTSTRAPS, BOOTSTRAP_STARTS = 200, 4
# Of points that are few: exponents as they were measured elsewhere (0.34 to 0.37 in three studies of 60M parameters and
# more; small models on small texts differ), as if known this well. With many points they say nothing.
FEW = ((0.35, 0.1), (0.36, 0.1))


@dataclass(frozen=True)
class Measured:
    """One run: its parameters, tokens of new text that its tokens are worth, and the loss that it came to."""

    parameters: float
    tokens: float
    loss: float


@dataclass(frozen=True)
class Range:
    """A value with the ends of the interval in which nine of ten should lie."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class FittedLaw:
    """The law through the points, the laws through points drawn from them, and what the points are off by."""

    law: LossLaw
    others: tuple[LossLaw, ...]
    residuals: tuple[float, ...]
    """Of ln L, measured minus fitted, in the order of the points; widened for what the fit has used up."""
    reach: float
    """The most computation among the points."""
    missed: float
    """By what share of ln L the larger points were missed by a law through the smaller ones (nine of ten by less)."""
    missed_times: float
    """How many times more computation those had."""

    def at(self, parameters: float, tokens: float, least_share: float = 0.0) -> Range:
        """The loss that is expected there, with an interval.

        That reaches from 5 to 95 % of the drawn laws with residuals drawn too, and beyond by as much as the larger
        points lay from a law through the smaller ones, more where it leads farther: a law that is a little wrong in its
        form is so for all draws. `least_share` is how far runs are apart that differ in the seed alone.
        """
        here = math.log(self.law.loss(parameters, tokens))
        draw = np.random.default_rng(0)
        centres = np.array([math.log(one.loss(parameters, tokens)) for one in self.others])
        noise = draw.choice(np.array(self.residuals), (64, len(centres)))
        noise = noise + draw.normal(0.0, least_share, noise.shape) if least_share else noise
        low, high = np.quantile(centres + noise, [0.05, 0.95])
        times = math.log(max(1.0, parameters * tokens / self.reach)) / math.log(self.missed_times)
        off = self.missed * max(1.0, times)
        # Added whole: of Epoch's held-out points the wider of the two covered 65 %, both together 96 %, where 90 were
        # meant (benchmarks/scaling_laws.py).
        return Range(math.exp(here), math.exp(min(low, here) - off), math.exp(max(high, here) + off))


def fit_law(points: Sequence[Measured], *, starts: int = STARTS, few: bool | None = None) -> LossLaw:
    """The law with the least Huber loss of ln L over many starts.

    `few` draws the exponents towards those that were measured elsewhere; by default below 30 points. Raises ConfigError
    for fewer than three points or one that is no measurement.
    """
    return _laws(points, np.ones((1, len(points))), starts, few)[0]


def fit_with_range(points: Sequence[Measured], *, few: bool | None = None, n: int = BOOTSTRAPS) -> FittedLaw:
    """The law, and `n` laws through as many points drawn from these with replacement (the bootstrap)."""
    law = fit_law(points, few=few)
    draw = np.random.default_rng(0)
    counts = draw.multinomial(len(points), np.full(len(points), 1 / len(points)), size=n).astype(float)
    others = _laws(points, counts, BOOTSTRAP_STARTS, few, near=law)
    # Five numbers were chosen to make the residuals small: by as much are they wider than they look.
    free = max(1, len(points) - len(BOUNDS)) / len(points)
    apart = [math.log(one.loss / law.loss(one.parameters, one.tokens)) / math.sqrt(free) for one in points]
    missed, times = _missed(points, few)
    return FittedLaw(law, tuple(others), tuple(apart), max(map(_compute, points)), missed, times)


def _missed(points: Sequence[Measured], few: bool | None) -> tuple[float, float]:
    """How far a law through the points of less computation misses the others, and up to how many times that."""
    order = sorted(points, key=_compute)
    middle = math.sqrt(_compute(order[0]) * _compute(order[-1]))
    n_below = max(LEAST_POINTS, len(points) // 2, sum(_compute(one) < middle for one in order))
    # Of few all but the largest two are needed to tell anything.
    n_below = len(points) - 2 if len(points) < MANY_POINTS else min(n_below, len(points) - 1)
    if n_below < LEAST_POINTS:
        return 0.0, 2.0
    law, above = fit_law(order[:n_below], few=few), order[n_below:]
    off = sorted(abs(math.log(one.loss / law.loss(one.parameters, one.tokens))) for one in above)
    times = _compute(order[-1]) / _compute(order[n_below - 1])
    return off[min(len(off) - 1, int(0.9 * len(off)))], max(times, LEAST_TIMES)


def _compute(one: Measured) -> float:
    return one.parameters * one.tokens


def _laws(
    points: Sequence[Measured], weights: Array, starts: int, few: bool | None, near: LossLaw | None = None
) -> list[LossLaw]:
    """A law for each row of weights of the points, the best of its starts."""
    _check(points)
    table = np.array([(one.parameters, one.tokens, one.loss) for one in points]).T
    prior = FEW if (few if few is not None else len(points) < 30) else ()
    begin = _starts(table, starts, near)
    each = np.repeat(weights, len(begin), axis=0)
    found, cost = _descend(np.log(table), np.tile(begin, (len(weights), 1)), each, prior)
    best = cost.reshape(len(weights), -1).argmin(axis=1) + np.arange(len(weights)) * len(begin)
    return [
        LossLaw(math.exp(e), math.exp(a), alpha, math.exp(b), beta, f"a fit of {len(points)} runs")
        for e, a, alpha, b, beta in found[best].tolist()
    ]


def _check(points: Sequence[Measured]) -> None:
    for one in points:
        if not all(math.isfinite(value) and value > 0 for value in (one.parameters, one.tokens, one.loss)):
            raise ConfigError(f"{one} is no measurement: parameters, tokens and loss are positive numbers")
    if len(points) < LEAST_POINTS:
        raise ConfigError(f"{len(points)} runs tell no law; it takes at least {LEAST_POINTS}, of several sizes")


def _starts(table: Array, n: int, near: LossLaw | None) -> Array:
    """Places to begin at: exponents drawn, and the two terms some share of what the lowest loss is."""
    draw = np.random.default_rng(1)
    lowest = float(table[2].min())
    alpha, beta = draw.uniform(0.15, 0.8, (2, n))
    floor = draw.uniform(0.2, 0.9, n) * lowest
    share = draw.uniform(0.2, 0.8, n) * (float(np.median(table[2])) - floor)
    a = np.log(share) + alpha * np.median(np.log(table[0]))
    b = np.log(np.maximum(float(np.median(table[2])) - floor - share, 1e-3)) + beta * np.median(np.log(table[1]))
    begin = np.stack([np.log(floor), a, alpha, b, beta], axis=1)
    if near is not None:
        begin[0] = np.log([near.E, near.A, 1, near.B, 1]) + np.array([0, 0, near.alpha, 0, near.beta])
    return np.clip(begin, *BOUNDS.T)


def _descend(logs: Array, at: Array, weights: Array, prior: Sequence[tuple[float, float]]) -> tuple[Array, Array]:
    """Levenberg and Marquardt's steps from all starts at once, the Huber loss by weights made anew at each.

    `at` holds ln E, ln A, alpha, ln B, beta in its rows; the result is the last of them and their losses.
    """
    damping = np.full(len(at), 1e-2)
    cost, normal, slope = _normal_equations(logs, at, weights, prior)
    for _ in range(STEPS):
        scale = normal + damping[:, None, None] * (np.eye(5) * (np.einsum("sii->si", normal)[:, None, :] + 1e-12))
        step = np.linalg.solve(scale, slope[..., None])[..., 0]
        tried = np.clip(at - np.clip(step, -1.0, 1.0), *BOUNDS.T)
        new_cost, new_normal, new_slope = _normal_equations(logs, tried, weights, prior)
        better = new_cost < cost
        at = np.where(better[:, None], tried, at)
        cost = np.where(better, new_cost, cost)
        normal = np.where(better[:, None, None], new_normal, normal)
        slope = np.where(better[:, None], new_slope, slope)
        damping = np.clip(np.where(better, damping / 3, damping * 4), 1e-10, 1e10)
    return at, cost


def _normal_equations(
    logs: Array, at: Array, weights: Array, prior: Sequence[tuple[float, float]]
) -> tuple[Array, Array, Array]:
    """The loss of each start, and its normal matrix and slope with the Huber weights of this place."""
    log_n, log_d, log_loss = logs
    e, a, alpha, b, beta = (column[:, None] for column in at.T)
    terms = np.stack([e + 0 * log_n, a - alpha * log_n, b - beta * log_d])
    value = np.logaddexp.reduce(terms)
    share_e, share_a, share_b = np.exp(terms - value)
    residual = value - log_loss
    size = np.abs(residual)
    loss = np.where(size <= HUBER, size**2 / 2, HUBER * (size - HUBER / 2))
    held = weights * np.where(size <= HUBER, 1.0, HUBER / np.maximum(size, HUBER))
    slopes = np.stack([share_e, share_a, -share_a * log_n, share_b, -share_b * log_d], axis=-1)
    cost = (weights * loss).sum(axis=1)
    normal = np.einsum("sp,spi,spj->sij", held, slopes, slopes)
    slope = np.einsum("sp,spi,sp->si", held, slopes, residual)
    for place, (middle, width) in zip((2, 4), prior, strict=False):
        # In units of the points' own loss: an exponent one width away costs as a point that is HUBER off.
        strength = HUBER**2 / width**2
        off = at[:, place] - middle
        cost += strength * off**2 / 2
        normal[:, place, place] += strength
        slope[:, place] += strength * off
    return cost, normal, slope
