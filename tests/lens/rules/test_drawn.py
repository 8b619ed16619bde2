"""Draws from gamma and Dirichlet distributions: derivatives at a fixed place, and what torch's are worth."""

import mpmath
import pytest
import torch
from torch.distributions import Beta, Chi2, Dirichlet, Gamma, StudentT

from chainrule.lens import capture, record, reverse, verify
from chainrule.lens.rules.drawn import APPROXIMATED
from chainrule.lens.rules.quantiles import beta_slope, dirichlet_moved, dirichlet_slope, gamma_moved, gamma_slope

P = torch.tensor([0.7, 2.5, 12.0], dtype=torch.float64)
WEIGHTS = torch.tensor([1.0, 2.0, -3.0], dtype=torch.float64)


def exact_gamma(alpha, x):
    moved = mpmath.diff(lambda a: mpmath.gammainc(a, 0, x, regularized=True), alpha)
    return float(-moved / (mpmath.mpf(x) ** (alpha - 1) * mpmath.exp(-x) / mpmath.gamma(alpha)))


def exact_beta(a, b, x):
    moved = mpmath.diff(lambda a: mpmath.betainc(a, b, 0, x, regularized=True), a)
    return float(-moved / (mpmath.mpf(x) ** (a - 1) * (1 - mpmath.mpf(x)) ** (b - 1) / mpmath.beta(a, b)))


@pytest.mark.parametrize(
    ("alpha", "x", "digits"),
    [
        (0.05, 1e-9, 1e-12),
        (0.7, 1.04, 1e-12),
        (2.5, 0.3, 1e-12),
        (9.0, 13.0, 1e-12),
        (25.0, 19.8, 1e-8),
        (1e3, 960.0, 1e-8),
    ],
)
def test_the_slope_of_a_gamma_draw_is_that_of_thirty_digits(alpha, x, digits):
    found = gamma_slope(torch.tensor(alpha, dtype=torch.float64), torch.tensor(x, dtype=torch.float64))
    assert float(found) == pytest.approx(exact_gamma(mpmath.mpf(alpha), mpmath.mpf(x)), rel=digits)


@pytest.mark.parametrize(("a", "b", "x"), [(0.05, 0.4, 1e-7), (0.7, 2.0, 0.38), (2.5, 3.5, 0.74), (30.0, 10.0, 0.77)])
def test_the_slope_of_a_beta_draw_is_that_of_thirty_digits(a, b, x):
    given = [torch.tensor(one, dtype=torch.float64) for one in (a, b, x, 1 - x)]
    assert float(beta_slope(*given)) == pytest.approx(exact_beta(a, b, x), rel=1e-10)


def test_torch_approximates_both_and_by_no_more_than_a_thousandth():
    alpha = torch.linspace(0.1, 30, 60, dtype=torch.float64)
    torch.manual_seed(0)
    off = APPROXIMATED["_standard_gamma"](alpha, torch._standard_gamma(alpha)).abs().max()
    assert 1e-6 < off < 1e-3
    alpha = alpha.reshape(20, 3)
    off = APPROXIMATED["_sample_dirichlet"](alpha, torch._sample_dirichlet(alpha)).abs().max()
    assert 1e-6 < off < 2e-3


def test_a_moved_draw_has_the_slope_as_its_derivative_and_is_itself_when_nothing_moves():
    torch.manual_seed(1)
    x, step = torch._standard_gamma(P), 1e-4 * P
    torch.testing.assert_close(gamma_moved(P, x, P), x, rtol=1e-13, atol=0)
    change = (gamma_moved(P, x, P + step) - gamma_moved(P, x, P - step)) / (2 * step)
    torch.testing.assert_close(change, gamma_slope(P, x), rtol=1e-6, atol=0)
    x = torch._sample_dirichlet(P)
    torch.testing.assert_close(dirichlet_moved(P, x, P), x, rtol=1e-13, atol=0)
    ours = dirichlet_slope(P, x) * (WEIGHTS - (x * WEIGHTS).sum())
    for j in range(3):
        way = torch.zeros(3, dtype=torch.float64)
        way[j] = step[j]
        change = (dirichlet_moved(P, x, P + way) - dirichlet_moved(P, x, P - way)) @ WEIGHTS / (2 * step[j])
        assert float(change) == pytest.approx(float(ours[j]), rel=1e-6)


@pytest.mark.parametrize(
    "draw",
    [
        lambda p: Gamma(p, p.square()).rsample().sin().sum(),
        lambda p: Chi2(p).rsample().log().sum(),
        lambda p: StudentT(p).rsample().tanh().sum(),
        # The random numbers behind a draw are the same in every run, however many its sampler throws away.
        lambda p: (Gamma(p, 1.0).rsample() * torch.nn.functional.dropout(p, 0.3) + torch.randn(3) * p).sum(),
        lambda p: (Dirichlet(20 * p[:2]).rsample() * WEIGHTS[:2]).sin().sum(),
        lambda p: Beta(20 * p[0], 20 * p[1]).rsample().sin(),
    ],
    ids=["Gamma", "Chi2", "StudentT", "and others", "Dirichlet", "Beta"],
)
def test_programs_with_such_draws_are_proved_and_numbers_agree_with_the_rules_to_six_digits(draw):
    report = verify(draw, P.clone().requires_grad_(), coordinates=2, seconds=1)
    assert report.verdict == "proved", report.summary
    checks = report.numbers.checks
    assert checks
    assert all(abs(one.rules - one.numbers.derivative) <= 1e-6 * one.size for one in checks)
    assert not report.cuts


def test_where_torch_approximates_too_coarsely_nothing_is_proved_and_that_is_the_reason():
    alpha = (2 * P).requires_grad_()
    report = verify(lambda p: (Dirichlet(p).rsample() * WEIGHTS).sum(), alpha, coordinates=2, seconds=1)
    assert report.verdict == "not proved"
    assert "torch only approximates the derivative of _sample_dirichlet" in report.summary
    assert report.gradients_agree and not report.contradictions


def test_a_wrong_gradient_behind_a_draw_is_found():
    class Off(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x * 3

        @staticmethod
        def backward(ctx, g):
            return g * 3.01

    alpha = P.clone().requires_grad_()
    report = verify(lambda p: Gamma(Off.apply(p), 1.0).rsample().sum(), alpha, coordinates=2, seconds=1)
    assert report.verdict == "wrong"
    assert "Off" in report.summary


def test_the_rule_is_near_what_autograd_says():
    for draw in (lambda p: torch._standard_gamma(p), lambda p: Dirichlet(p).rsample() * WEIGHTS):
        p = P.clone().requires_grad_()
        tape = record(draw, p, loss=torch.sum)
        (theirs,) = torch.autograd.grad(tape.values[tape.loss].tensor, p)
        (ours,) = reverse(tape).values()
        torch.testing.assert_close(ours, theirs, rtol=2e-3, atol=1e-6)
        assert not torch.equal(ours, theirs)


@pytest.mark.parametrize(
    "draw",
    [
        lambda p: Gamma(p, 1.0).rsample().sin().sum(),
        lambda p: (Dirichlet(20 * p).rsample() * WEIGHTS.float()).sin().sum(),
        lambda p: StudentT(p + 2).rsample().tanh().sum(),
        lambda p: torch.nn.functional.rrelu(p - 3, training=True).sin().sum(),
    ],
    ids=["Gamma", "Dirichlet", "StudentT", "rrelu"],
)
def test_a_step_that_draws_is_repeated_with_its_own_draws_and_a_wrong_gradient_in_it_is_found(draw):
    alpha = P.float().requires_grad_()
    assert verify(step=capture(draw, alpha)).verdict == "proved"
    alpha.register_hook(lambda g: g * 1.01)
    assert verify(step=capture(draw, alpha)).verdict == "wrong"


def test_the_slopes_that_a_leaky_relu_drew_are_those_of_its_copy_on_the_way_back_too():
    def penalty(x):
        h = torch.nn.functional.softplus(x)
        (g,) = torch.autograd.grad(torch.nn.functional.rrelu(h - 1, training=True).sin().sum(), h, create_graph=True)
        return (g * h).square().sum()

    x = torch.randn(20, generator=torch.Generator().manual_seed(1)).requires_grad_()
    report = verify(penalty, x, coordinates=2, seconds=1)
    assert report.verdict == "proved", report.summary
