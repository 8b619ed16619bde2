import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from chainrule.data.split import hold_out
from chainrule.data.table import BAD, CUT, LEFT_OUT, TRAIN, VALIDATION


def hold(sizes, roots=None, share=0.05, seed=0, states=None):
    n = len(sizes)
    keys = np.random.default_rng(seed).integers(0, 2**63, n, np.uint64)
    states = np.full(n, TRAIN, np.uint8) if states is None else np.array(states, np.uint8)
    return hold_out(states, np.array(sizes, np.uint64), keys, np.arange(n) if roots is None else np.array(roots), share)


@given(st.lists(st.integers(1, 100), min_size=100, max_size=300), st.integers(0, 9))
def test_whole_documents_come_close_to_the_share(sizes, seed):
    held = hold(sizes, seed=seed)
    taken = sum(size for size, state in zip(sizes, held.states, strict=True) if state == VALIDATION)
    assert held.cut is None
    assert 0.5 <= taken / (0.05 * sum(sizes)) <= 1.1


@given(st.integers(0, 30))
def test_a_cluster_is_on_one_side(seed):
    chooser = np.random.default_rng(seed)
    roots = np.arange(200)
    for member in range(1, 200, 2):
        roots[member] = roots[chooser.integers(0, member)]
    held = hold(chooser.integers(1, 50, 200), roots, seed=seed)
    for root in set(roots.tolist()):
        assert len(set(held.states[roots == root].tolist())) == 1


def test_the_choice_does_not_depend_on_the_order_of_reading():
    sizes, keys = np.arange(1, 101, dtype=np.uint64), np.random.default_rng(0).integers(0, 2**63, 100, np.uint64)
    shuffled = np.random.default_rng(1).permutation(100)
    straight = hold_out(np.zeros(100, np.uint8), sizes, keys, np.arange(100), 0.1)
    other = hold_out(np.zeros(100, np.uint8), sizes[shuffled], keys[shuffled], np.arange(100), 0.1)
    assert (straight.states[shuffled] == other.states).all()


def test_a_single_document_is_cut():
    held = hold([1000])
    assert held.cut == (0, 950)
    assert held.states.tolist() == [CUT]


def test_few_documents_are_cut_where_the_last_share_begins():
    held = hold([1000, 1000, 20], states=[TRAIN, TRAIN, TRAIN])
    assert held.cut == (1, 919)
    assert held.states.tolist() == [TRAIN, CUT, VALIDATION]
    assert hold([1000, 1000, 500], states=[TRAIN, TRAIN, BAD]).states.tolist() == [TRAIN, CUT, BAD]


def test_what_is_like_held_out_text_is_not_trained_on():
    # The second is a near duplicate of the last, which is cut: only what no one else resembles may judge.
    assert hold([1000, 1000, 1000], roots=[0, 1, 1]).states.tolist() == [TRAIN, LEFT_OUT, CUT]
    assert hold([1000, 1000, 30, 30], roots=[0, 1, 2, 1]).states.tolist() == [TRAIN, CUT, VALIDATION, LEFT_OUT]


def test_two_halves_share_the_text_when_half_of_it_is_wanted():
    held = hold([100, 100], share=0.5)
    assert sorted(held.states.tolist()) == [TRAIN, VALIDATION]
