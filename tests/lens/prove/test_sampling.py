"""What is looked at by numbers, in what order and how exactly: the same whatever the time."""

import torch
from torch import nn

from chainrule.lens import verify
from chainrule.lens.prove import proof_lines


class TooLarge(torch.autograd.Function):
    """A gradient that is a thousandth too large."""

    @staticmethod
    def forward(ctx, x):
        return x.clone()

    @staticmethod
    def backward(ctx, g):
        return g * 1.001


class Network(nn.Module):
    def __init__(self, between):
        super().__init__()
        torch.manual_seed(0)
        self.first, self.last, self.between = nn.Linear(6, 8), nn.Linear(8, 3), between

    def forward(self, x):
        return self.last(self.between(self.first(x)).tanh()).square().mean()


def verified(between, seconds):
    x = torch.randn(5, 6, generator=torch.Generator().manual_seed(1))
    return verify(Network(between), x, coordinates=30, seconds=seconds)


def looked_at(checks):
    return [(check.name, check.index, check.numbers) for check in checks]


def test_more_time_looks_at_the_same_weights_first_and_adds_others():
    few, many = (verified(torch.clone, seconds).numbers for seconds in (1e-6, 600))
    assert looked_at(few.directions) == looked_at(many.directions)
    assert len(few.coordinates) == 8 and len(many.coordinates) == 30
    assert looked_at(few.coordinates) == looked_at(many.coordinates[:8])


def test_the_weight_that_shows_a_fault_is_the_same_whatever_the_time():
    shown = [
        [line for line in proof_lines(verified(TooLarge.apply, seconds)) if "∂L/∂" in line or "    autograd" in line]
        for seconds in (1e-6, 600)
    ]
    assert len(shown[0]) == 2
    assert shown[0] == shown[1]
