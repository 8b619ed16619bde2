"""What verification reads: complex weights, core ATen, gradients inside, and where torch itself is wrong."""

import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from lens.rules.numbers import between, complex_normal, normal
from torch import nn

from chainrule.lens import verify

LABELS = torch.tensor([[1, 1], [2, 3]])


def verified(target, *given, **how):
    return verify(target, given, torch.sum, coordinates=6, seconds=1, **how)


def test_ctc_of_a_log_softmax_is_proved():
    assert verified(
        lambda x: F.ctc_loss(x.log_softmax(-1), LABELS, (6, 5), (2, 2)), normal(6, 2, 4).requires_grad_()
    ).ok


def test_ctc_of_scores_that_are_not_normalised_is_wrong_in_torch_and_found():
    """pytorch #52241, #82545, #181534."""
    report = verified(lambda x: F.ctc_loss(x * 1.0, LABELS, (6, 5), (2, 2)), normal(6, 2, 4).requires_grad_())
    assert report.verdict == "wrong"
    assert report.place is not None and report.tape.nodes[report.place.node].op.startswith("_ctc_loss")


def test_scatter_reduce_beside_zeros_is_proved():
    index = torch.tensor([[0, 0, 1], [1, 1, 1]])
    source = torch.tensor([[0.0, 2.0, 3.0], [0.0, 0.0, 1.5]], dtype=torch.float64)
    start = between(0.5, 2, 2, 3)
    given = (start.requires_grad_(), source.requires_grad_())
    assert verified(lambda x, s: x.scatter_reduce(1, index, s, "prod") * between(1, 2, 2, 3).detach(), *given).ok


@pytest.mark.parametrize("shape", [(1, 4), (5, 1), (1, 1)])
def test_a_product_by_an_index_smaller_than_its_source_is_wrong_in_torch_and_placed(shape):
    """pytorch #94336."""
    index = torch.zeros(shape, dtype=torch.long)
    given = (between(0.5, 2, 3, 4).requires_grad_(), between(0.6, 1.9, 5, 4).requires_grad_())
    report = verified(lambda x, s: x.scatter_reduce(0, index, s, "prod"), *given)
    assert report.verdict == "wrong"
    assert report.place is not None and report.place.op == "scatter_reduce.two"
    assert report.place.site is not None and report.place.site.file.endswith("test_reading.py")


@pytest.mark.parametrize("how", ["amax", "amin"])
def test_the_largest_of_groups_is_proved_within_narrow_limits(how):
    """Rounding in what is compared would make equal numbers unequal, and limits so wide that nothing is proved."""
    index = torch.tensor([[0, 1, 2, 0], [1, 1, 0, 2]])
    given = (between(0.5, 2, 3, 4).requires_grad_(), between(0.6, 1.9, 2, 4).requires_grad_())
    report = verified(lambda x, s: x.exp().scatter_reduce(0, index, s.sin() + 2, how), *given)
    assert report.ok
    assert all(one.tolerance.limit < 1e-12 for one in report.parameters)


def test_complex_weights_are_proved_by_all_three_ways():
    class Turned(nn.Module):
        def __init__(self):
            super().__init__()
            self.w = nn.Parameter(complex_normal(4))

        def forward(self, x):
            return (torch.fft.ifft(torch.fft.fft(x) * self.w)).abs()

    report = verified(Turned(), normal(3, 4))
    assert report.ok
    assert report.numbers is not None and report.numbers.checks


@pytest.mark.parametrize(
    "program",
    [
        lambda x: F.grid_sample(x.reshape(1, 1, 3, 4), between(-0.87, 0.83, 1, 2, 2, 2), align_corners=False),
        lambda x: torch.block_diag(x, x * 2).sin(),
        lambda x: torch.special.xlog1py(x, x * x),
    ],
    ids=["grid_sample", "block_diag", "xlog1py"],
)
def test_a_recording_in_core_aten_may_round_otherwise_than_a_plain_run(program):
    assert verified(program, normal(3, 4).requires_grad_(), level="core").ok


def test_a_gradient_penalty_is_proved():
    torch.manual_seed(0)
    critic = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 1))

    def penalty(x):
        x = x.detach().requires_grad_()
        (slope,) = torch.autograd.grad(critic(x).sum(), x, create_graph=True)
        return ((slope.norm(dim=1) - 1) ** 2).mean()

    assert verified(penalty, torch.randn(5, 3)).ok
