"""Torch's linear layer fused with its cross-entropy, whose gradient torch makes in the forward pass."""

import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from lens.agreement import largest_errors
from lens.rules.numbers import normal
from torch import nn

from chainrule.lens import record, verify
from chainrule.lens.tape import grouped_product

fused = pytest.mark.skipif(
    not hasattr(F, "linear_cross_entropy"), reason="this torch has no fused linear cross-entropy"
)
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


ENDS = torch.tensor([1, 1, 4], dtype=torch.int32)
GROUPS = {
    "rows": (normal(4, 8), normal(3, 8, 4)),
    "columns": (normal(3, 4, 8), normal(8, 4)),
    "what is summed over": (normal(8, 4).t().contiguous().t(), normal(4, 8)),
    "a batch": (normal(2, 4, 8), normal(2, 8, 4)),
}


@pytest.mark.parametrize("kind", GROUPS)
def test_products_of_groups_have_the_gradients_of_a_product_for_each(kind):
    a, b = GROUPS[kind]
    offs = None if kind == "a batch" else ENDS
    together = grouped_product(a, b, offs)
    if kind == "rows":
        one_by_one = torch.cat([a[:1] @ b[0], a[1:1] @ b[1], a[1:4] @ b[2]])
        assert torch.equal(together, one_by_one)
    leaves = [one.float().requires_grad_() for one in (a, b)]
    tape = record(lambda a, b: torch._grouped_mm(a, b, offs=offs).sin().sum(), *leaves)
    assert "_grouped_mm" in {node.rule_name for node in tape.nodes}
    assert max(largest_errors(tape).values()) <= 1e-5


def test_products_of_groups_are_verified_in_float64_where_torch_has_no_kernel_for_them():
    a, b = (one.float().requires_grad_() for one in GROUPS["rows"])
    report = verify(lambda a, b: F.grouped_mm(a, b, offs=ENDS).tanh().sum(), (a, b), coordinates=4, seconds=1)
    assert report.ok
    assert {node.rule_name for node in report.tape.nodes} >= {"mm"}


def test_transformers_own_way_of_such_products_has_a_rule():
    pytest.importorskip("transformers.integrations.moe")
    leaves = [one.clone().requires_grad_() for one in GROUPS["rows"]]
    tape = record(lambda a, b: torch.ops.transformers.grouped_mm_fallback(a, b, ENDS).sin().sum(), *leaves)
    assert max(largest_errors(tape).values()) <= 1e-14


class Forgetful(nn.Module):
    """Makes a mask, and a table of results, in float32 whatever its weights are."""

    def __init__(self):
        super().__init__()
        self.first, self.last = nn.Linear(4, 4), nn.Linear(4, 4)

    def forward(self, x):
        table = torch.zeros(5, 4, dtype=torch.float32)
        table[:] = self.first(x)
        return self.last(table @ torch.ones(4, 4, dtype=torch.float32)).tanh().sum()


def test_a_model_with_float32_in_its_code_is_verified_with_the_limits_of_float32():
    torch.manual_seed(0)
    report = verify(Forgetful(), torch.randn(5, 4), coordinates=4, seconds=1)
    assert report.verdict != "wrong"
    assert any(segment.dtype == torch.float32 for segment in report.segments)
    assert 1e-9 < max(one.tolerance.limit for one in report.parameters) < 1e-3
