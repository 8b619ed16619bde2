"""Loss by place and by piece: what a look tells beside its figure."""

import math

import numpy as np
import pytest
import torch

from chainrule.config import Layer, modern, resolve
from chainrule.data.mapped import Shard
from chainrule.data.store import TokenStore
from chainrule.evaluate import PlaceTally, Scoring, score, surprises
from chainrule.model import GPT
from chainrule.tokenizer.train import byte_tokenizer

LENGTH = 16
TEXT = "Grüße, 世界! " * 40


@pytest.fixture(scope="module")
def model() -> GPT:
    torch.manual_seed(0)
    return GPT(resolve([Layer("shape", {"model": modern(32, 1, 2, LENGTH, 257)["model"]})]).config.model)


@pytest.fixture(scope="module")
def store() -> TokenStore:
    tokenizer = byte_tokenizer()
    ids = [*tokenizer.encode(TEXT), tokenizer.end_of_text]
    return TokenStore(
        [Shard(np.asarray(ids, np.uint32), np.array([len(ids)], np.uint64), np.zeros(1, np.uint32))], ("a",)
    )


def test_losses_by_place_are_means_of_whole_windows():
    losses = np.random.default_rng(0).random((10, 11))
    tally = PlaceTally()
    assert tally.ends == tally.means == ()
    tally.add(losses[:4])
    tally.add(losses[4:])
    assert tally.ends == (1, 2, 4, 8, 11)
    starts = [0, 1, 2, 4, 8]
    for start, end, mean in zip(starts, tally.ends, tally.means, strict=True):
        assert math.isclose(mean, losses[:, start:end].mean(), rel_tol=1e-5)


def test_looking_at_places_changes_no_bit_of_the_figures(model, store):
    lengths = byte_tokenizer().byte_lengths
    for scoring in (Scoring(), Scoring(stride=LENGTH // 2), Scoring(stride=LENGTH // 2, max_tokens=64)):
        places = PlaceTally()
        assert score(model, store, lengths, scoring, places=places) == score(model, store, lengths, scoring)
        assert places.ends[-1] == LENGTH and all(math.isfinite(one) for one in places.means)


def test_pieces_are_whole_characters_and_their_nats_add_up(model, store):
    tokenizer = byte_tokenizer()
    found = surprises(model, store, tokenizer, Scoring())
    assert 1 < len(found) <= 8
    for one in found:
        assert len(one.pieces) == len(one.nats)
        assert not any("\ufffd" in piece for piece in one.pieces[1:-1])
        assert "".join(one.pieces[1:-1]) in TEXT
        assert all(nats > 0 for nats in one.nats) and one.source == "a"


def test_a_text_without_a_window_has_no_pieces(model):
    one = TokenStore([Shard(np.zeros(1, np.uint32), np.array([1], np.uint64), np.zeros(1, np.uint32))], ("a",))
    assert surprises(model, one, byte_tokenizer(), Scoring()) == []
