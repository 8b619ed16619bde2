"""Which beginnings of texts are kept, and which are found again."""

from dataclasses import replace

import torch

from chainrule.config import ModelConfig
from chainrule.generate import Prefix
from chainrule.model import GPT, KVCache
from chainrule.serve.prefixes import LEAST_SHARED, MOST_KEPT, Prefixes

SHAPE = ModelConfig(vocab_size=300, context_length=64, emb_dim=8, n_heads=1, n_layers=1)


def prefix(*ids: int) -> Prefix:
    return Prefix(ids, KVCache(SHAPE, 1, len(ids)))


def begun(first: int, length: int = 20) -> tuple[int, ...]:
    return (first, *range(length - 1))


def test_the_one_that_shares_most_is_found() -> None:
    kept = Prefixes(2**20)
    for first in (1, 2, 3):
        kept.keep(prefix(*begun(first)))
    found = kept.best([*begun(2), 5, 6])
    assert found is not None and found.ids == begun(2)
    assert kept.best([9, 9, 9, 9]) is None and kept.best(begun(2)[:LEAST_SHARED]) is None


def test_a_longer_one_takes_the_place_of_its_beginning() -> None:
    kept = Prefixes(2**20)
    kept.keep(prefix(*begun(1)))
    kept.keep(prefix(*begun(1), 7))
    assert kept.n_bytes == prefix(*begun(1), 7).n_bytes
    assert kept.covers(begun(1)) and not kept.covers(begun(2))


def test_what_one_reader_has_read_is_nothing_to_another() -> None:
    kept, one, other = Prefixes(2**20), GPT(SHAPE), GPT(SHAPE)
    for reader in (one, other):
        kept.keep(replace(prefix(*begun(1)), reader=reader))
    found = kept.best([*begun(1), 5], other)
    assert found is not None and found.reader is other
    assert kept.covers(begun(1), one) and kept.best(begun(1)) is None
    kept.keep(replace(prefix(*begun(1), 7), reader=one))
    assert kept.best([*begun(1), 7, 8], other) == found, "a longer one of another takes no place"


def test_memory_is_bounded_and_the_longest_unused_goes_first() -> None:
    kept = Prefixes(3 * prefix(*begun(1)).n_bytes)
    for first in (1, 2, 3):
        kept.keep(prefix(*begun(first)))
    assert kept.best([*begun(1), 0])
    kept.keep(prefix(*begun(4)))
    assert kept.covers(begun(1)) and not kept.covers(begun(2)) and kept.covers(begun(3))
    kept.keep(prefix(*begun(5, length=64)))
    assert not kept.covers(begun(5, length=64)) and kept.covers(begun(4))
    many = Prefixes(2**30)
    for first in range(2 * MOST_KEPT):
        many.keep(prefix(first % 300, first, *torch.arange(10).tolist()))
    assert many.n_bytes <= MOST_KEPT * prefix(*range(12)).n_bytes
