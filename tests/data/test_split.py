import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from chainrule.data.document_links import DocumentLinks
from chainrule.data.split import hold_out
from chainrule.data.table import BAD, CUT, LEFT_OUT, TRAIN, VALIDATION


def hold(sizes, roots=None, share=0.05, seed=0, states=None, most=np.inf):
    n = len(sizes)
    keys = np.random.default_rng(seed).integers(0, 2**63, n, np.uint64)
    states = np.full(n, TRAIN, np.uint8) if states is None else np.array(states, np.uint8)
    return hold_out(states, np.array(sizes, np.uint64), keys, links(range(n) if roots is None else roots), share, most)


def links(roots):
    roots = np.array(roots)
    linked = np.flatnonzero(roots != np.arange(len(roots)))
    return DocumentLinks(linked, roots[linked])


def held_bytes(sizes, held):
    whole = sum(size for size, state in zip(sizes, held.states, strict=True) if state == VALIDATION)
    return whole + sum(sizes[cut.document] - cut.byte for cut in held.cuts)


@given(st.lists(st.integers(1, 100), min_size=100, max_size=300), st.integers(0, 9))
def test_whole_documents_come_close_to_the_share(sizes, seed):
    held = hold(sizes, seed=seed)
    taken = sum(size for size, state in zip(sizes, held.states, strict=True) if state == VALIDATION)
    assert not held.cuts
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
    straight = hold_out(np.zeros(100, np.uint8), sizes, keys, links(range(100)), 0.1)
    other = hold_out(np.zeros(100, np.uint8), sizes[shuffled], keys[shuffled], links(range(100)), 0.1)
    assert (straight.states[shuffled] == other.states).all()


def test_a_single_document_is_cut():
    held = hold([1000])
    assert held.cuts == ((0, 950, 25),)
    assert held.states.tolist() == [CUT]


def test_few_documents_are_cut_where_the_last_share_begins():
    held = hold([1000, 1000, 20], states=[TRAIN, TRAIN, TRAIN])
    assert held.cuts == ((1, 919, 50),)
    assert held.states.tolist() == [TRAIN, CUT, VALIDATION]
    assert hold([1000, 1000, 500], states=[TRAIN, TRAIN, BAD]).states.tolist() == [TRAIN, CUT, BAD]


def test_what_is_like_held_out_text_is_not_trained_on():
    # The second is a near duplicate of the last, which is cut: only what no one else resembles may judge.
    assert hold([1000, 1000, 1000], roots=[0, 1, 1]).states.tolist() == [TRAIN, LEFT_OUT, CUT]
    assert hold([1000, 1000, 30, 30], roots=[0, 1, 2, 1]).states.tolist() == [TRAIN, CUT, VALIDATION, LEFT_OUT]


def test_two_halves_share_the_text_when_half_of_it_is_wanted():
    held = hold([100, 100], share=0.5)
    assert sorted(held.states.tolist()) == [TRAIN, VALIDATION]


@given(st.lists(st.integers(1, 100), min_size=100, max_size=300), st.integers(0, 9))
def test_a_limit_that_is_more_than_the_share_changes_nothing(sizes, seed):
    free, limited = hold(sizes, seed=seed), hold(sizes, seed=seed, most=0.05 * sum(sizes) + 1)
    assert (free.states == limited.states).all() and free.cuts == limited.cuts and not limited.limited


@given(
    st.lists(st.one_of(st.integers(1, 300), st.integers(5_000, 50_000)), min_size=50, max_size=200),
    st.integers(0, 9),
    st.sampled_from([1000, 3000]),
)
def test_no_more_is_held_out_than_the_limit_and_not_much_less(sizes, seed, most):
    held = hold(sizes, share=0.3, seed=seed, most=most)
    wanted = min(0.3 * sum(sizes), most)
    assert 0.4 * wanted <= held_bytes(sizes, held) <= 1.2 * wanted + 20
    # Whatever is cut keeps at least half of itself in the training text.
    assert all(2 * cut.byte >= sizes[cut.document] for cut in held.cuts)


def test_under_the_limit_huge_documents_have_their_share_of_what_is_held_out():
    sizes = [100] * 1000 + [100_000] * 9
    held = hold(sizes, most=5000)
    small = sum(size for size, state in zip(sizes, held.states, strict=True) if state == VALIDATION)
    huge = sum(sizes[cut.document] - cut.byte for cut in held.cuts)
    assert held.limited and len(held.cuts) > 5
    assert abs(small - 500) <= 100 and abs(huge - 4500) <= 100
    for cut in held.cuts:
        assert held.states[cut.document] == CUT


def test_under_the_limit_the_choice_does_not_depend_on_the_order_of_reading():
    sizes = np.array([100] * 500 + [50_000 + 1000 * index for index in range(20)], np.uint64)
    keys = np.random.default_rng(0).integers(0, 2**63, 520, np.uint64)
    shuffled = np.random.default_rng(1).permutation(520)
    straight = hold_out(np.zeros(520, np.uint8), sizes, keys, links(range(520)), 0.1, 20_000)
    other = hold_out(np.zeros(520, np.uint8), sizes[shuffled], keys[shuffled], links(range(520)), 0.1, 20_000)
    assert (straight.states[shuffled] == other.states).all()
    assert {cut[1:] for cut in straight.cuts} == {cut[1:] for cut in other.cuts}
    assert {cut.document for cut in straight.cuts} == {int(shuffled[cut.document]) for cut in other.cuts}


def test_a_huge_document_that_another_is_like_is_not_cut():
    held = hold([100_000, 100_000, 100_000] + [100] * 100, roots=[0, 0, 2, *range(3, 103)], most=3000)
    assert [cut.document for cut in held.cuts] == [2]
    assert held.states[0] == held.states[1] == TRAIN


def test_a_single_huge_document_gives_its_last_bytes():
    held = hold([10_000_000], most=1000)
    assert held.limited and held.cuts == ((0, 9_999_000, 500),)


def test_the_documents_that_are_cut_are_huge_and_alone_whatever_clusters_stand_between():
    chooser = np.random.default_rng(0)
    sizes = np.where(np.arange(300) % 3, 100, 100_000).tolist()
    roots = np.arange(300)
    for member in range(30, 300, 5):
        roots[member] = roots[member - chooser.integers(1, 30)]
    held = hold(sizes, roots, most=20_000)
    assert len(held.cuts) > 5
    for cut in held.cuts:
        assert sizes[cut.document] == 100_000 and (roots == roots[cut.document]).sum() == 1
