"""Programs that name float32 themselves, as routers and norms do: numbers follow them in float64 throughout."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from torch import nn

from chainrule.base import LensError
from chainrule.lens import verify

torch.manual_seed(0)
LAYER, NEXT = nn.Linear(4, 4), nn.Linear(4, 3)
EMBEDDING = nn.Parameter(torch.randn(4))
X = torch.randn(5, 4)


def routed(x):
    """A router in float32: in float64 throughout, the softmax makes a copy that the recording has not."""
    scores = F.linear(LAYER(x).type(torch.float32), NEXT.weight.type(torch.float32)).softmax(-1, dtype=torch.float32)
    return scores.to(x.dtype).square().sum()


def cast(x):
    """The second layer meets float32, and is widened before it begins: half a layer is not left on the tape."""
    return NEXT(LAYER(x).float().sin()).square().sum()


def masked(x):
    """`torch.tensor` of an array makes something that is on no tape, right before a cast."""
    h = LAYER(x)
    rows = np.array([True, False, True, False, True])
    h[torch.tensor(rows, device=h.device, dtype=torch.bool)] = EMBEDDING.to(h.dtype)
    return h.sin().sum()


@pytest.mark.parametrize("program", [routed, cast, masked])
def test_numbers_follow_a_program_that_names_float32_and_hold_what_it_cuts(program):
    report = verify(lambda x: program(x) * LAYER(x).detach().square().sum(), X, coordinates=4, seconds=1)
    assert report.cuts
    assert report.verdict == "proved", report.summary
    assert report.numbers is not None and report.numbers.checks


def test_a_program_that_seeds_itself_anew_can_be_repeated_and_two_seeds_are_two():
    seeds = []

    def program(x):
        seeds.append(torch.seed())
        torch.manual_seed(seeds[-1])
        return F.dropout(LAYER(x), 0.5).sum() + F.dropout(x * torch.seed() * 1e-19, 0.5).sum()

    before = torch.seed
    report = verify(program, X, coordinates=4, seconds=1)
    assert report.verdict == "proved", report.summary
    assert len(set(seeds)) == 1
    assert torch.seed is before and before() != before()


class Reversible(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, module):
        ctx.module, module.kept = module, 2.0
        return x * 2

    @staticmethod
    def backward(ctx, g):
        return g * ctx.module.kept, None


def test_a_backward_pass_that_reads_what_the_run_left_in_a_module_is_refused_with_that_reason():
    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.Linear(4, 4)
            self.kept = None

        def forward(self, x):
            return Reversible.apply(self.layer(x), self).sum()

    with pytest.raises(LensError, match=r"own way back fails after the run \(TypeError.*keep it in ctx"):
        verify(Model(), X)
