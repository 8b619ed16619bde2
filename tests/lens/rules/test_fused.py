"""Torch's linear layer fused with its cross-entropy, whose gradient torch makes in the forward pass."""

import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from lens.agreement import largest_errors
from lens.rules.numbers import normal

from chainrule.lens import record

fused = pytest.mark.skipif(not hasattr(F, "linear_cross_entropy"), reason="this torch has no fused linear cross-entropy")
TARGET = torch.tensor([2, 0, -100, 3, 1])


@fused
@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
def test_it_has_the_gradient_of_its_parts(reduction):
    options = F.LinearCrossEntropyOptions(chunking_method="batch") if hasattr(F, "LinearCrossEntropyOptions") else None

    def program(x, w, b):
        loss = F.linear_cross_entropy(x, w, TARGET, linear_bias=b, reduction=reduction, options=options)
        return (loss * torch.arange(1.0, 1 + loss.numel())).sum()

    given = (normal(5, 3), normal(4, 3, seed=1), normal(4, seed=2))
    tape = record(program, *(one.requires_grad_() for one in given))
    assert max(largest_errors(tape).values()) <= 1e-13
