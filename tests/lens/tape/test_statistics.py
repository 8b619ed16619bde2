import math

import pytest
import torch

from chainrule.lens.tape import measure


def test_finite_elements_are_measured_and_the_others_counted():
    found = measure(torch.tensor([3.0, math.nan, -4.0, math.inf, -math.inf]))
    assert (found.smallest, found.largest, found.mean, found.std, found.norm) == (-4, 3, -0.5, 3.5, 5)
    assert (found.n_nan, found.n_inf) == (1, 2)


@pytest.mark.parametrize("tensor", [torch.empty(0), torch.tensor([math.nan])])
def test_without_a_finite_element_there_is_nothing_to_say(tensor):
    found = measure(tensor)
    assert all(math.isnan(one) for one in (found.smallest, found.largest, found.mean, found.std, found.norm))


@pytest.mark.parametrize(
    ("tensor", "norm"),
    [
        (torch.tensor([True, False]), 1),
        (torch.tensor([3, 4]), 5),
        (torch.tensor([3 + 4j]), 5),
        (torch.tensor([1e30, 1e30], dtype=torch.bfloat16), math.sqrt(2) * 1e30),
    ],
)
def test_every_type_is_measured_in_float64(tensor, norm):
    assert measure(tensor).norm == pytest.approx(norm, rel=1e-2)


def test_measuring_leaves_no_trace_in_autograd():
    x = torch.ones(2, requires_grad=True)
    assert measure(x * 2).norm == pytest.approx(math.sqrt(8))
    assert x.grad_fn is None
