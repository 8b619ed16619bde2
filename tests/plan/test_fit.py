"""A law through measured points: found again where there is one, and honest about what it does not know."""

import numpy as np
import pytest

from chainrule.base import ConfigError
from chainrule.plan import EPOCH, Measured, fit_law, fit_with_range

SIZES = (60e6, 120e6, 250e6, 500e6, 1e9)


def runs(noise: float = 0.0, ratios=(5, 20, 80), seed: int = 0) -> list[Measured]:
    """Runs of a known law, at several tokens a parameter, with a noise of their own."""
    draw = np.random.default_rng(seed)
    shapes = [(n, ratio * n) for n in SIZES for ratio in ratios]
    return [Measured(n, d, EPOCH.loss(n, d) * float(np.exp(noise * draw.normal()))) for n, d in shapes]


def test_the_law_behind_exact_runs_is_found():
    law = fit_law(runs(), few=False)
    assert law.loss(70e9, 1.4e12) == pytest.approx(EPOCH.loss(70e9, 1.4e12), rel=1e-4)
    assert law.alpha == pytest.approx(EPOCH.alpha, rel=0.01)
    assert law.beta == pytest.approx(EPOCH.beta, rel=0.01)


def test_one_run_that_went_wrong_hardly_moves_it():
    points = runs()
    spoilt = [*points[:-1], Measured(points[-1].parameters, points[-1].tokens, 1.3 * points[-1].loss)]
    assert fit_law(spoilt, few=False).loss(1e10, 2e11) == pytest.approx(EPOCH.loss(1e10, 2e11), rel=0.005)


def test_intervals_hold_what_a_law_with_noise_comes_to():
    """Eight tables of 15 runs with 0.5 % of noise, each asked for 25 times their computation: seven and more hold."""
    truth = EPOCH.loss(10e9, 200e9)
    found = [fit_with_range(runs(0.005, seed=seed), n=10).at(10e9, 200e9) for seed in range(8)]
    assert sum(one.low <= truth <= one.high for one in found) >= 7
    assert all(one.high / one.low < 1.5 for one in found)


def test_an_interval_widens_with_the_distance():
    fitted = fit_with_range(runs(0.005), n=10)
    near, far = fitted.at(1e9, 20e9), fitted.at(70e9, 1.4e12)
    assert far.high / far.low > near.high / near.low


@pytest.mark.parametrize("points", [runs()[:2], [*runs(), Measured(1e6, 2e7, float("nan"))]])
def test_what_tells_no_law_is_refused(points):
    with pytest.raises(ConfigError):
        fit_law(points)
