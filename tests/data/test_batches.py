import numpy as np
import pytest

from chainrule.base import DataError
from chainrule.data import Batches
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
def test_short_windows_have_epochs_of_their_own_that_predict_each_token_once(n_pieces):
    length, batches = T // n_pieces, Batches(store_of(1000), T, seed=1, documents=True)
    n_short = 1000 // length - 1
    found = batches.windows(0, n_short // n_pieces, n_pieces)
    assert found.ids.shape == (n_short // n_pieces * n_pieces, length + 1)
    assert (np.diff(found.ids, axis=1) == 1).all()
    assert (found.documents == (found.ids + 1) // 100).all()
    targets = found.ids[:, 1:].ravel()
    assert len(np.unique(targets)) == len(targets) >= 1000 - T - 2 * length


def test_short_windows_are_drawn_each_for_itself_and_from_the_samples_number_alone():
    straight = Batches(store_of(5000), T, seed=1).windows(0, 40, 4).ids
    assert (Batches(store_of(5000), T, seed=1).windows(10, 5, 4).ids == straight[40:60]).all()
    neighbours = np.abs(np.diff(straight[:, 0])) == T // 4
    assert neighbours.mean() < 0.05  # cut windows have three of four


def test_a_share_of_short_windows_comes_from_the_old_text():
    new, old = store_of(1000), store_of(1000, first=10_000)
    ids = Batches(new, T, seed=1, old=old, old_share=0.25).windows(0, 500, 2).ids
    assert int((ids >= 10_000).all(axis=1).sum()) == 250 and int((ids < 10_000).all(axis=1).sum()) == 750
