import numpy as np
import pytest

from chainrule.base import DataError
from chainrule.data import Batches
from chainrule.data.batches import TOGETHER
from chainrule.data.mapped import Shard
from chainrule.data.store import TokenStore

T = 16


def store_of(n_tokens, document=100, first=0):
    """Tokens that are their own position, in documents of equal length."""
    ends = np.arange(document, n_tokens + 1, document, dtype=np.uint64)
    return TokenStore(
        [Shard(np.arange(first, first + n_tokens, dtype=np.uint32), ends, np.zeros(len(ends), np.uint32))], ("all",)
    )


def test_an_epoch_predicts_each_token_once():
    batches = Batches(store_of(1000), T, seed=1)
    ids = batches.windows(0, batches.n_windows).ids
    assert ids.shape == (batches.n_windows, T + 1)
    assert (np.diff(ids, axis=1) == 1).all()
    targets = np.sort(ids[:, 1:].ravel())
    assert len(np.unique(targets)) == len(targets) >= 1000 - 2 * T
    assert (np.diff(targets) == 1).all()


def test_samples_depend_on_their_number_alone():
    straight = Batches(store_of(1000), T, seed=1).windows(0, 300).ids
    resumed = Batches(store_of(1000), T, seed=1)
    assert (resumed.windows(217, 50).ids == straight[217:267]).all()
    by_rank = [Batches(store_of(1000), T, seed=1).windows(first, 1).ids[0] for first in range(300)]
    assert (np.stack(by_rank) == straight).all()


def test_epochs_differ_in_order_and_in_borders():
    batches = Batches(store_of(5000), T, seed=1)
    epochs = [batches.windows(epoch * batches.n_windows, batches.n_windows).ids for epoch in range(8)]
    borders = {int(epoch.min() % T) for epoch in epochs}
    assert len(borders) > 3
    assert len({tuple((epoch[:, 0] // T).tolist()) for epoch in epochs}) == 8


def test_another_seed_is_another_order():
    one, two = (Batches(store_of(5000), T, seed=seed).windows(0, 100).ids for seed in (1, 2))
    assert (one[:, 0] != two[:, 0]).any()


@pytest.mark.parametrize("n_tokens", [T + 1, T + 2, 2 * T, 2 * T + 1, 3 * T])
def test_a_text_of_about_one_window_is_enough(n_tokens):
    batches = Batches(store_of(n_tokens, document=5), T, seed=0, documents=True)
    ids = batches.windows(0, 20).ids
    assert ids.max() < n_tokens and (np.diff(ids, axis=1) == 1).all()


def test_less_than_one_window_is_refused_with_both_numbers():
    with pytest.raises(DataError, match="has 16 tokens, but one window needs 17"):
        Batches(store_of(T), T, seed=0)


def test_document_numbers_follow_the_windows():
    windows = Batches(store_of(1000), T, seed=1, documents=True).windows(0, 40)
    assert (windows.documents == (windows.ids + 1) // 100).all()  # each 100th token ends a document, and opens the next
    assert Batches(store_of(1000), T, seed=1).windows(0, 4).documents is None


@pytest.mark.parametrize("share", [0.1, 0.25, 0.5, 0.9])
def test_old_text_has_its_share_and_both_keep_their_own_epochs(share):
    new, old = store_of(1000), store_of(2000, first=10_000)
    mixed = Batches(new, T, seed=1, old=old, old_share=share, documents=True)
    ids = mixed.windows(0, 2000).ids
    from_old = ids[:, 0] >= 10_000
    assert abs(from_old.sum() - share * 2000) <= 1
    assert (ids[~from_old] == Batches(new, T, seed=1).windows(0, int((~from_old).sum())).ids).all()
    # Evenly spread: any stretch has its share.
    assert abs(from_old[700:800].sum() - share * 100) <= 1
    pieces = [mixed.windows(first, 7) for first in range(0, 140, 7)]
    assert (np.concatenate([piece.ids for piece in pieces]) == ids[:140]).all()
    for piece in pieces:
        assert (np.diff(piece.documents, axis=1) >= 0).all()


@pytest.mark.parametrize(
    ("given", "share"), [(None, 0.5), (True, 0.0), (True, 1.0), (True, -0.1), (True, float("nan"))]
)
def test_a_share_that_makes_no_sense_is_refused(given, share):
    with pytest.raises(DataError, match="share of old text"):
        Batches(store_of(1000), T, seed=0, old=store_of(1000) if given else None, old_share=share)


def test_negative_samples_are_refused():
    with pytest.raises(DataError, match="count from 0"):
        Batches(store_of(1000), T, seed=0).windows(-1, 3)


@pytest.mark.parametrize("n_pieces", [2, 4, T])
def test_short_windows_are_the_pieces_of_many_samples_each_once_in_an_order_of_their_own(n_pieces):
    batches = Batches(store_of(9000), T, seed=1, documents=True)
    whole = batches.windows(0, TOGETHER)
    found = [batches.windows(first, 8, n_pieces) for first in range(0, TOGETHER, 8)]
    assert {batch.ids.shape for batch in found} == {(8 * n_pieces, T // n_pieces + 1)}
    ids = np.concatenate([batch.ids for batch in found])
    assert (np.diff(ids, axis=1) == 1).all()
    assert (np.sort(ids[:, 1:].ravel()) == np.sort(whole.ids[:, 1:].ravel())).all()
    assert (np.concatenate([batch.documents for batch in found]) == (ids + 1) // 100).all()
    neighbours = np.abs(np.diff(ids[:, 0])) == T // n_pieces
    assert neighbours.mean() < 0.02  # cut from one window after the other it would be nearly all


def test_short_windows_depend_on_the_number_of_their_sample_alone():
    straight = Batches(store_of(9000), T, seed=1).windows(0, 1100, 4).ids
    resumed = Batches(store_of(9000), T, seed=1).windows(509, 6, 4).ids
    assert (resumed == straight[4 * 509 : 4 * 515]).all()
    assert (Batches(store_of(9000), T, seed=2).windows(509, 6, 4).ids != resumed).any()


def test_a_share_of_short_windows_comes_from_the_old_text():
    new, old = store_of(1000), store_of(1000, first=10_000)
    ids = Batches(new, T, seed=1, old=old, old_share=0.25).windows(0, TOGETHER, 2).ids
    from_old = (ids >= 10_000).all(axis=1)
    assert int(from_old.sum()) == TOGETHER // 2
    assert int((ids < 10_000).all(axis=1).sum()) == TOGETHER + TOGETHER // 2
    assert 0.1 < from_old[:50].mean() < 0.5  # evenly spread
