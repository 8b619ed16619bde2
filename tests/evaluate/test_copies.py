import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chainrule.data import TokenStore
from chainrule.data.mapped import Shard
from chainrule.evaluate import longest_copies, share_found
from chainrule.evaluate.copies import _Search

ids = st.lists(st.integers(0, 3), max_size=60)


def store_of(*shards):
    empty = [np.array([len(shard)], np.uint64) for shard in shards]
    return TokenStore(
        [Shard(np.array(s, np.uint16), e, e.astype(np.uint32) * 0) for s, e in zip(shards, empty, strict=True)],
        ("",),
    )


def longest_by_hand(sample, text):
    """Every pair of places, token by token."""
    best, copied = 0, {}
    for s in range(len(sample)):
        for t in range(len(text)):
            n = 0
            while s + n < len(sample) and t + n < len(text) and sample[s + n] == text[t + n]:
                n += 1
            best = max(best, n)
            copied[s] = max(copied.get(s, 0), n)
    return best, copied


@settings(deadline=None, max_examples=150)
@given(
    samples=st.lists(ids, max_size=4),
    text=st.lists(st.integers(0, 3), min_size=1, max_size=120),
    seed=st.integers(1, 5),
)
def test_the_search_finds_what_a_search_by_hand_finds(samples, text, seed):
    min_run = seed + 2
    for sample, found in zip(samples, longest_copies(samples, store_of(text), min_run=min_run, seed=seed), strict=True):
        best, copied = longest_by_hand(sample, text)
        assert found.length == (best if best >= seed else 0)
        assert sample[found.start : found.start + found.length] == text[found.position : found.position + found.length]
        inside = {i for s, n in copied.items() if n >= min_run for i in range(s, s + n)}
        assert inside == {i for start, end in found.copied for i in range(start, end)}
        assert found.share == pytest.approx(len(inside) / len(sample) if sample else 0)


def test_chunks_and_shards_lose_no_match(monkeypatch):
    rng = np.random.default_rng(0)
    text = rng.integers(0, 50, 5000).tolist()
    samples = [text[i : i + 90] for i in range(0, 4900, 7)]
    whole = longest_copies(samples, store_of(text), min_run=40, seed=8)
    monkeypatch.setattr("chainrule.evaluate.copies.CHUNK_TOKENS", 64)
    assert longest_copies(samples, store_of(text[:1234], text[1234:1300], text[1300:]), min_run=40, seed=8) == whole
    assert {copy.length for copy in whole} == {90}
    assert {copy.share for copy in whole} == {1.0}


def test_no_copy_rests_on_a_hash(monkeypatch):
    rng = np.random.default_rng(1)
    text, sample = rng.integers(0, 4, 300).tolist(), rng.integers(0, 4, 60).tolist()
    honest = longest_copies([sample], store_of(text), min_run=6, seed=3)
    collide = "chainrule.evaluate.copies.window_hashes"
    monkeypatch.setattr(collide, lambda tokens, window: np.zeros(len(tokens) - window + 1, np.uint64))
    assert longest_copies([sample], store_of(text), min_run=6, seed=3) == honest


def test_only_the_first_tokens_are_searched_when_asked():
    text = list(range(100))
    assert longest_copies([text[80:95]], store_of(text), min_run=8, seed=4, max_tokens=60)[0].length == 0
    assert longest_copies([text[40:65]], store_of(text), min_run=8, seed=4, max_tokens=60)[0].length == 20


def test_a_seed_beyond_the_run_is_refused():
    with pytest.raises(ValueError, match="seed=9 must be between 1 and min_run=8"):
        longest_copies([[1]], store_of([1]), min_run=8, seed=9)


@pytest.fixture
def n_pairs(monkeypatch):
    """How many pairs of places were looked at, call by call."""
    counts: list[int] = []
    extend = _Search._extend
    monkeypatch.setattr(
        _Search,
        "_extend",
        lambda self, chunk, place, position: counts.append(len(place)) or extend(self, chunk, place, position),
    )
    return counts


@pytest.mark.parametrize("period", [[0], [0, 1], [0, 1, 0, 2]])
def test_a_text_that_says_the_same_again_and_again_costs_little_more_than_another(n_pairs, period):
    # Each place of the text fits each of the sample's (20,000 times 99), unless the inside of matches is left out.
    text = (period * 20_000)[:20_000]
    (copy,) = longest_copies([[*text[:98], 7]], store_of(text), min_run=16, seed=8)
    assert (copy.length, copy.position, copy.copied) == (98, 0, ((0, 98),))
    assert sum(n_pairs) <= len(text) + 100


def test_what_was_found_as_a_whole_is_looked_for_no_more(n_pairs, monkeypatch):
    monkeypatch.setattr("chainrule.evaluate.copies.CHUNK_TOKENS", 100)
    text = [3, 1, 4, 1, 5, 9, 2, 6] * 1000
    (copy,) = longest_copies([text[:40]], store_of(text), min_run=16, seed=8)
    assert (copy.length, copy.position, copy.share) == (40, 0, 1)
    assert sum(n_pairs) < 100


@settings(deadline=None, max_examples=100)
@given(
    runs=st.lists(st.lists(st.integers(0, 2), min_size=4, max_size=4), max_size=12),
    text=st.lists(st.integers(0, 2), min_size=1, max_size=60),
)
def test_the_share_of_runs_that_are_found_is_the_one_counted_by_hand(runs, text):
    inside = [any(text[i : i + 4] == run for i in range(len(text) - 3)) for run in runs]
    assert share_found(runs, store_of(text)) == pytest.approx(np.mean(inside) if runs else 0)


def test_runs_across_chunks_and_shards_are_found(monkeypatch):
    monkeypatch.setattr("chainrule.evaluate.found.CHUNK_TOKENS", 8)
    text = np.random.default_rng(1).integers(0, 500, 300).tolist()
    runs = [text[start : start + 5] for start in range(296)]
    assert share_found(runs, store_of(text[:101], text[101:])) == 1
    assert share_found([[*run[:-1], 501] for run in runs], store_of(text)) == 0
