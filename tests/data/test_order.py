import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chainrule.data.order import permuted, round_keys


@given(st.integers(1, 3000), st.integers(0, 2**40), st.integers(0, 1000))
def test_the_order_is_a_permutation(size, seed, epoch):
    order = permuted(np.arange(size), size, round_keys(seed, epoch))
    assert sorted(order.tolist()) == list(range(size))


def test_every_place_can_be_asked_for_by_itself():
    keys = round_keys(3, 1)
    whole = permuted(np.arange(1000), 1000, keys)
    assert [int(permuted(np.array([place]), 1000, keys)[0]) for place in range(0, 1000, 37)] == whole[::37].tolist()


def test_huge_ranges_cost_no_more():
    size = 10**14
    places = np.arange(size - 1000, size)
    order = permuted(places, size, round_keys(0, 0))
    assert len(set(order.tolist())) == 1000
    assert order.min() >= 0 and order.max() < size
    # Spread over the whole range, as random places would be.
    assert order.min() < size * 0.02 and order.max() > size * 0.98


@pytest.mark.parametrize("size", [100, 1000, 4099])
def test_the_order_looks_random(size):
    orders = [permuted(np.arange(size), size, round_keys(seed, 0)) for seed in range(60)]
    correlation = np.mean([np.corrcoef(np.arange(size), order)[0, 1] for order in orders])
    assert abs(correlation) < 4 / np.sqrt(60 * size)
    assert np.mean([np.mean(np.abs(np.diff(order)) == 1) for order in orders]) < 6 / size
    fixed = np.mean([np.sum(order == np.arange(size)) for order in orders])
    assert 0.3 < fixed < 2.2


def test_seeds_and_epochs_give_different_orders():
    orders = {tuple(permuted(np.arange(50), 50, round_keys(s, e)).tolist()) for s in range(10) for e in range(10)}
    assert len(orders) == 100
