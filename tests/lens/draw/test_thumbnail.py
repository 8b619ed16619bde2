"""A tensor as numbers, histogram and heatmap."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from chainrule.lens.draw.thumbnail import LARGE, NOT_FINITE, TOP, heat, histogram, look, smaller
from chainrule.lens.tape import measure


def squares(one):
    return torch.tensor(list(one.squares)).reshape(one.rows, one.columns)


@settings(deadline=None, max_examples=40)
@given(st.lists(st.integers(1, 70), min_size=1, max_size=3), st.integers(0, 99))
def test_every_element_is_counted_once(shape, seed):
    tensor = torch.randn(shape, generator=torch.Generator().manual_seed(seed))
    seen = look(tensor)
    if tensor.numel() > 1:
        assert sum(seen.histogram.counts) == tensor.numel()
        assert (seen.histogram.low, seen.histogram.high) == (tensor.min(), tensor.max())
        assert (seen.heat.rows, seen.heat.columns) == (min(32, tensor.numel() // shape[-1]), min(32, shape[-1]))
    else:
        assert seen.number == float(tensor)


def test_a_small_tensor_is_its_own_picture():
    tensor = torch.tensor([[-2.0, 0.0], [1.0, 2.0]])
    drawn = heat(tensor, -2.0, 2.0)
    assert squares(drawn).tolist() == [[0, 127], [190, 254]]
    assert look(tensor).elements == (-2.0, 0.0, 1.0, 2.0)


def test_the_wildest_element_of_a_patch_is_seen():
    tensor = torch.randn(640, 640) * 0.01
    tensor[321, 77] = -5.0
    drawn = look(tensor).heat
    assert int((squares(drawn) == 0).sum()) == 1
    assert int((squares(smaller(drawn, 8)) == 0).sum()) == 1


def test_what_is_not_finite_is_marked_and_counted():
    tensor = torch.randn(100, 100)
    tensor[3, 4], tensor[50, 60] = math.nan, -math.inf
    seen = look(tensor)
    assert (seen.n_nan, seen.n_inf) == (1, 1)
    assert int((squares(seen.heat) == NOT_FINITE).sum()) == 2
    assert sum(seen.histogram.counts) == 9998
    assert math.isfinite(seen.norm)


@pytest.mark.parametrize("kind", [torch.bool, torch.int64, torch.bfloat16, torch.float64, torch.complex64])
def test_every_dtype_has_a_look(kind):
    tensor = (torch.arange(60).reshape(3, 20) % 7).to(kind)
    seen = look(tensor)
    assert seen.largest == (1.0 if kind == torch.bool else 6.0)
    assert len(seen.elements) == 60


def test_large_tensors_are_measured_as_small_ones_are():
    tensor = torch.randn(3 * LARGE) * 3 + 1
    seen, slow = look(tensor), measure(tensor)
    for name in ("smallest", "largest", "mean", "std", "norm"):
        assert getattr(seen, name) == pytest.approx(getattr(slow, name), rel=1e-12)


def test_an_empty_or_constant_tensor_has_no_picture():
    assert look(torch.zeros(0, 3)).norm is None
    assert look(torch.ones(5, 5)).heat is None


def test_the_histogram_of_equal_steps_is_flat():
    assert histogram(torch.linspace(0, 1, 320), 0.0, 1.0).counts == (10,) * 32
    assert TOP == 254
