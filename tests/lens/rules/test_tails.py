"""Where a function is saturated its result has lost the digits of its derivative: the rules make it of the argument."""

import math

import pytest
import torch
from torch.nn import functional

from chainrule.lens import record, reverse

FAR = [-700.0, -40.0, -25.0, 25.0, 40.0, 300.0]


def by_rules(function, x):
    tape = record(function, x.clone().requires_grad_())
    return reverse(tape)[tape.leaves()[0].id]


@pytest.mark.parametrize("x", FAR)
def test_the_slope_of_a_sigmoid_is_right_in_both_tails(x):
    found = float(by_rules(lambda one: one.sigmoid().sum(), torch.tensor(x, dtype=torch.float64)))
    assert found == pytest.approx(math.exp(-abs(x)) / (1 + math.exp(-abs(x))) ** 2, rel=1e-14)


@pytest.mark.parametrize("x", [-300.0, -40.0, -19.0, 19.0, 40.0])
def test_the_slope_of_tanh_is_right_in_both_tails(x):
    found = float(by_rules(lambda one: one.tanh().sum(), torch.tensor(x, dtype=torch.float64)))
    assert found == pytest.approx(1 / math.cosh(x) ** 2, rel=1e-13)


def test_the_slope_of_expm1_is_right_where_it_has_rounded_to_minus_one():
    assert float(by_rules(lambda x: x.expm1().sum(), torch.tensor(-40.0).double())) == pytest.approx(
        math.exp(-40), rel=1e-14
    )


@pytest.mark.parametrize("gap", [0.0, 3.0, 25.0, 50.0])
def test_cross_entropy_keeps_the_digits_of_a_probability_near_one(gap):
    scores = torch.tensor([[gap, 0.0, -1.0], [0.0, gap, 0.5]], dtype=torch.float64)
    targets = torch.tensor([0, 0])
    found = by_rules(lambda x: functional.cross_entropy(x, targets, reduction="sum"), scores)
    for row in range(2):
        odds = [math.exp(float(one) - gap) for one in scores[row]]
        share = [one / math.fsum(odds) for one in odds]
        for column in range(3):
            others = -math.fsum(one for i, one in enumerate(share) if i != column)
            exact = others if column == 0 else share[column]
            assert float(found[row, column]) == pytest.approx(exact, rel=1e-13)


@pytest.mark.parametrize("target", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("x", [-40.0, 1.0, 40.0])
def test_cross_entropy_of_a_sigmoid_keeps_its_digits(x, target):
    found = by_rules(
        lambda one: functional.binary_cross_entropy_with_logits(one, torch.tensor(target, dtype=torch.float64)),
        torch.tensor(x, dtype=torch.float64),
    )
    low, high = 1 / (1 + math.exp(x)), 1 / (1 + math.exp(-x))
    assert float(found) == pytest.approx((1 - target) * high - target * low, rel=1e-13)
