"""Quantisation in training: the rules hand on what torch means by a staircase, which no difference can show."""

import pytest
import torch
from lens.agreement import largest_errors
from lens.rules.numbers import between

from chainrule.lens import record

X = between(-1.53, 1.57, 3, 4)
SCALES, ZEROS = torch.tensor([0.1, 0.2, 0.05]), torch.tensor([3, 0, -2], dtype=torch.int32)


@pytest.mark.parametrize(
    "program",
    [
        lambda x: torch.fake_quantize_per_tensor_affine(x, 0.1, 2, -8, 7),
        lambda x: torch.fake_quantize_per_channel_affine(x, SCALES, ZEROS, 0, -8, 7),
        lambda x: torch.fake_quantize_per_tensor_affine(x.float(), SCALES[:1], ZEROS[:1], -8, 7),
    ],
    ids=["one scale", "a scale for each channel", "a scale in a tensor"],
)
def test_within_the_range_the_gradient_is_handed_on(program):
    tape = record(lambda x: (program(x) * X.sin()).sum(), X.clone().requires_grad_())
    assert set(largest_errors(tape).values()) == {0}


@pytest.mark.parametrize("axis", [None, 0, 1])
def test_a_scale_that_is_learned_has_the_gradient_of_learned_step_size_quantisation(axis):
    n = 1 if axis is None else X.shape[axis]
    scale, zero = torch.linspace(0.1, 0.2, n).requires_grad_(), torch.linspace(-1, 2, n).round().requires_grad_()

    def program(x, scale, zero):
        if axis is None:
            y = torch._fake_quantize_learnable_per_tensor_affine(x, scale, zero, -8, 7, 0.5)
        else:
            y = torch._fake_quantize_learnable_per_channel_affine(x, scale, zero, axis, -8, 7, 0.5)
        return (y * X.float().sin()).sum()

    tape = record(program, X.float().requires_grad_(), scale, zero)
    assert max(largest_errors(tape).values()) <= 1e-6
