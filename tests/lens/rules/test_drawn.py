"""Draws from gamma and Dirichlet distributions: why nothing is proved of their gradient."""

import mpmath
import pytest
import torch

from chainrule.base import LensError
from chainrule.lens import record, reverse

P = torch.tensor([0.7, 2.5], dtype=torch.float64)


@pytest.mark.parametrize(
    "draw",
    [
        lambda p: torch.distributions.Gamma(p, torch.ones_like(p)).rsample(),
        lambda p: torch.distributions.Dirichlet(p).rsample() * torch.tensor([1.0, 2.0]),
        lambda p: torch.distributions.Beta(p[0], p[1]).rsample(),
    ],
    ids=["Gamma", "Dirichlet", "Beta"],
)
def test_the_gradient_is_refused_with_the_reason(draw):
    tape = record(draw, P.clone().requires_grad_(), loss=torch.sum)
    with pytest.raises(LensError, match=r"implicit reparametrisation.*the sampler rejects"):
        reverse(tape)


def test_torch_approximates_the_implicit_derivative():
    """−(∂F/∂α)/p(x), with mpmath's incomplete gamma: torch is off by more than rounding, and less than 1e-3."""
    alpha, x = 2.5, 1.75
    moved = mpmath.diff(lambda a: mpmath.gammainc(a, 0, x, regularized=True), alpha)
    exact = float(-moved / (x ** (alpha - 1) * mpmath.exp(-x) / mpmath.gamma(alpha)))
    theirs = float(torch._standard_gamma_grad(torch.tensor(alpha).double(), torch.tensor(x).double()))
    assert 1e-6 < abs(theirs - exact) / exact < 1e-3
