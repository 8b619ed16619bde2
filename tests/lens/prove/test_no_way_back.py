"""Where autograd itself cannot go back, the operation at which it stops is named."""

import pytest
import torch
from torch import nn
from torch.distributions import Dirichlet, Gamma

from chainrule.base import LensError
from chainrule.lens import capture, verify


def test_an_index_smaller_than_its_source_stops_autograd_at_scatter_reduce():
    source = nn.Parameter(torch.rand(5, 4))

    def program(index):
        return torch.zeros(3, 4, dtype=source.dtype).scatter_reduce(0, index, source.sin(), "mean").sum()

    with pytest.raises(LensError, match=r"stops at scatter_reduce.two at .*test_no_way_back.py:16: .*invalid gradient"):
        verify(program, torch.randint(0, 3, (3, 4)))


def test_a_backward_pass_that_raises_is_named():
    class Unfinished(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x.sin()

        @staticmethod
        def backward(ctx, g):
            raise RuntimeError("to be written")

    layer = nn.Linear(3, 3)
    with pytest.raises(LensError, match=r"custom Function Unfinished at .*py:29: to be written"):
        verify(lambda x: Unfinished.apply(layer(x)).sum().exp(), torch.randn(2, 3))


def test_a_result_that_was_written_over_is_named_by_who_needs_it():
    weight = nn.Parameter(torch.rand(4))

    def program(x):
        y = (weight * x).sigmoid()
        z = y.exp()
        y.mul_(2)
        return (y + z).sum()

    with pytest.raises(LensError, match=r"stops at sigmoid.default at .*py:41: .*modified by an inplace operation"):
        verify(program, torch.rand(4))


def penalised(draw):
    def program(p):
        (g,) = torch.autograd.grad(draw(p).sin().sum(), p, create_graph=True)
        return (g * p).square().sum()

    return program


def test_second_derivatives_of_draws_are_refused_with_what_would_do_by_the_proof_and_by_a_step():
    p = torch.rand(3).add(1).requires_grad_()
    for draw, who, word in (
        (lambda p: Gamma(p, 1.0).rsample(), "_standard_gamma_grad.default", "draw from a normal or uniform"),
        (lambda p: Dirichlet(p).rsample(), r"the custom Function _Dirichlet at .*dirichlet.py", "no second; detach it"),
    ):
        for look in (lambda program: verify(program, p), lambda program: capture(program, p)):
            with pytest.raises(LensError, match=rf"stops at {who}.*{word}"):
                look(penalised(draw))
