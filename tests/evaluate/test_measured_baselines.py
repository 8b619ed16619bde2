import gzip
import lzma
import math
from collections import Counter
from itertools import pairwise

import numpy as np
import pytest

from chainrule.data import TokenStore
from chainrule.data.mapped import Shard
from chainrule.evaluate.measured_baselines import baselines
from chainrule.evaluate.ngrams import NgramCounts
from chainrule.tokenizer.train import byte_tokenizer

TOKENIZER = byte_tokenizer()
WORDS = [b"gradient", b"of", b"the", b"loss", b"with", b"respect", b"to", b"a", b"weight", b"falls"]


def text_of(seed, n_words):
    rng = np.random.default_rng(seed)
    return b" ".join(WORDS[i] for i in rng.zipf(1.5, n_words) % len(WORDS))


def store_of(*documents):
    ids, ends = [], []
    for document in documents:
        ids += [*TOKENIZER.encode_bytes(document), TOKENIZER.end_of_text]
        ends.append(len(ids))
    doc_ends = np.array(ends, np.uint64)
    return TokenStore([Shard(np.array(ids, np.uint16), doc_ends, np.zeros(len(ends), np.uint32))], ("text",))


@pytest.fixture(scope="module")
def measured():
    return baselines(store_of(text_of(0, 4000), text_of(1, 4000)), store_of(text_of(2, 800)), TOKENIZER)


def test_probabilities_of_tokens_sum_to_one():
    counts = NgramCounts([np.array([0, 1, 1, 2, 0, 1])], vocab_size=7)
    assert counts.unigram(np.arange(7)).sum() == pytest.approx(1)


@pytest.mark.parametrize("before", range(5))
def test_probabilities_after_each_token_sum_to_one(before):
    counts = NgramCounts([np.array([0, 1, 1, 2, 0, 1]), np.array([3, 0])], vocab_size=5)
    after = [counts.after(np.array([before, token]), 2)[1] for token in range(5)]
    assert sum(after) == pytest.approx(1)
    assert min(after) > 0


def test_bigram_probabilities_are_witten_and_bells():
    ids = np.random.default_rng(0).integers(0, 6, 200)
    pairs, firsts = Counter(pairwise(ids)), Counter(ids[:-1])
    followers = {v: len({b for a, b in pairs if a == v}) for v in range(8)}
    counts = NgramCounts([ids], vocab_size=8)
    asked = np.random.default_rng(1).integers(0, 8, 100)
    unigram = [(np.count_nonzero(ids == w) + 1) / (200 + 8) for w in asked]
    by_hand = [unigram[0]]
    for v, w, p in zip(asked[:-1], asked[1:], unigram[1:], strict=True):
        seen = firsts[v] + followers[v]
        by_hand.append((pairs[v, w] + followers[v] * p) / seen if seen else p)
    assert counts.after(asked, 2) == pytest.approx(by_hand)


def five_by_hand(ids, asked, vocab_size):
    """Witten and Bell's recursion, term by term, over runs of up to five tokens."""

    def probability(before, token):
        if len(before) == 0:
            return (ids.count(token) + 1) / (len(ids) + vocab_size)
        lower, width = probability(before[1:], token), len(before)
        after = [ids[i + width] for i in range(len(ids) - width) if ids[i : i + width] == before]
        seen = len(after) + len(set(after))
        return (after.count(token) + len(set(after)) * lower) / seen if seen else lower

    return [probability(asked[max(0, i - 4) : i], token) for i, token in enumerate(asked)]


def test_five_token_probabilities_are_witten_and_bells():
    ids, asked = (np.random.default_rng(seed).integers(0, 3, n).tolist() for seed, n in ((0, 300), (1, 120)))
    asked += [5, 0, 1, 2, 0, 1]  # a token that was never seen, and what follows it
    found = NgramCounts([np.array(ids)], vocab_size=6).after(np.array(asked), 5)
    assert found == pytest.approx(five_by_hand(ids, asked, 6))


def test_probabilities_after_four_tokens_sum_to_one():
    counts = NgramCounts([np.random.default_rng(0).integers(0, 4, 400)], vocab_size=5)
    after = [counts.after(np.array([0, 1, 2, 3, token]), 5)[-1] for token in range(5)]
    assert sum(after) == pytest.approx(1)


def test_runs_across_pieces_are_not_counted():
    joined, apart = NgramCounts([np.arange(6)], 6), NgramCounts([np.arange(2), np.arange(2, 6), np.array([], int)], 6)
    assert [int(runs.counts.sum()) for runs in joined.runs] == [5, 4, 3, 2]
    assert [int(runs.counts.sum()) for runs in apart.runs] == [4, 2, 1, 0]


def test_compressors_get_the_documents_bytes_without_end_of_text(measured):
    held_out, train = text_of(2, 800), text_of(0, 4000) + text_of(1, 4000)
    assert measured["held_out_bytes"] == len(held_out)
    assert measured["train_bytes"] == len(train)
    assert measured["gzip"] == pytest.approx(8 * len(gzip.compress(held_out, 9)) / len(held_out), rel=0.01)
    best = {"preset": 9 | lzma.PRESET_EXTREME}
    alone = len(lzma.compress(held_out, **best))
    after = len(lzma.compress(train + held_out, **best)) - len(lzma.compress(train, **best))
    assert measured["xz"] == pytest.approx(8 * alone / len(held_out), rel=0.01)
    assert measured["xz_seen"] == pytest.approx(8 * after / len(held_out), rel=0.02)


def test_more_knowledge_costs_fewer_bits(measured):
    assert measured["fivegram"] < measured["bigram"] < measured["unigram"] < 8
    assert measured["xz_seen"] < measured["xz"]
    assert measured["whole"] is True


def test_ngram_bits_count_every_token_and_are_paid_for_by_bytes():
    train, held_out = store_of(b"aab"), store_of(b"ab")
    # Training tokens: a a b end; V = 257.
    unigram = -math.log2(3 / 261) - 2 * math.log2(2 / 261)
    assert baselines(train, held_out, TOKENIZER)["unigram"] == pytest.approx(unigram / 2)


def test_unseen_tokens_cost_finite_bits():
    measured = baselines(store_of(b"aaaa"), store_of(b"xyz"), TOKENIZER)
    assert all(math.isfinite(measured[name]) for name in ("unigram", "bigram", "fivegram", "gzip", "xz", "xz_seen"))


def test_a_large_text_is_measured_on_spread_pieces_and_says_so():
    measured = baselines(store_of(text_of(0, 20_000)), store_of(text_of(1, 20_000)), TOKENIZER, max_bytes=40_000)
    assert measured["whole"] is False
    assert measured["train_bytes"] == pytest.approx(40_000, rel=0.01)
    assert measured["held_out_bytes"] == pytest.approx(10_000, rel=0.01)
