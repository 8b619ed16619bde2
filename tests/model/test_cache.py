"""Laws of the cache: whatever the rows' ages, and wherever their beginnings came from, logits are the whole text's."""

import pytest
import torch

from chainrule.base import ModelError
from chainrule.config import ModelConfig
from chainrule.model import GPT, KVCache

SMALL = {"vocab_size": 61, "context_length": 24, "emb_dim": 32, "n_heads": 4, "n_layers": 2, "drop_rate": 0.0}
MODERN = {"norm": "rmsnorm", "position": "rope", "activation": "swiglu", "bias": False, "n_kv_heads": 2}
SHAPES = {"learned places": SMALL, "rotated, grouped heads": {**SMALL, **MODERN, "qk_norm": True}}
each_shape = pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES.keys())


def build(shape: dict) -> GPT:
    torch.manual_seed(0)
    return GPT(ModelConfig(**shape))


def some_ids(model: GPT, batch: int = 3, length: int = 20) -> torch.Tensor:
    return torch.randint(0, model.config.vocab_size, (batch, length), generator=torch.Generator().manual_seed(1))


def empty(model: GPT, batch: int = 3, max_length: int = 24) -> KVCache:
    return KVCache(model.config, batch, max_length)


def close(ours: torch.Tensor, whole: torch.Tensor) -> None:
    torch.testing.assert_close(ours, whole, atol=1e-5, rtol=1e-5)


@each_shape
@torch.no_grad()
@pytest.mark.parametrize("n_tokens", [1, 5])
def test_rows_of_different_ages_read_on_together_as_if_each_were_alone(shape, n_tokens):
    model, ages = build(shape).eval(), (3, 10, 7)
    ids, cache = some_ids(model), KVCache(model.config, 3, 24)
    whole = model(ids)
    for row, age in enumerate(ages):
        close(model(ids[row : row + 1, :age], cache.rows(row, row + 1)), whole[row : row + 1, :age])
    for _ in range(2):
        starts = cache.lengths.tolist()
        new = [slice(start, start + n_tokens) for start in starts]
        logits = model(torch.stack([ids[row, span] for row, span in enumerate(new)]), cache)
        close(logits, torch.stack([whole[row, span] for row, span in enumerate(new)]))
    assert cache.lengths.tolist() == [age + 2 * n_tokens for age in ages]


@each_shape
@torch.no_grad()
def test_going_on_from_a_copied_prefix_gives_the_logits_of_the_whole_text(shape):
    model = build(shape).eval()
    ids = some_ids(model, batch=1)
    first, second = empty(model, 1), empty(model, 2)
    model(ids[:, :12], first)
    prefix = first.copy(7)
    second.rows(1, 2).put(prefix, 5)
    first.rows(0, 1).truncate(0)  # the copy has memory of its own
    assert (prefix.length, prefix.max_length, second.lengths.tolist()) == (7, 7, [0, 5])
    close(model(ids[:, 5:], second.rows(1, 2)), model(ids)[:, 5:])


@each_shape
@torch.no_grad()
def test_a_truncated_text_goes_on_as_another_one(shape):
    model = build(shape).eval()
    ids = some_ids(model)
    edited = torch.cat((ids[:, :6], ids[:, 6:].flip(1)), dim=1)
    cache = empty(model)
    model(ids, cache)
    cache.truncate(6)
    close(model(edited[:, 6:], cache), model(edited)[:, 6:])


@each_shape
@torch.no_grad()
def test_a_row_given_to_a_new_text_leaves_the_others_as_they_were_whatever_it_held(shape):
    model = build(shape).eval()
    ids, logits = some_ids(model), []
    for held in (0.0, float("nan")):
        cache = empty(model)
        model(ids[:, :10], cache)
        cache.keys[:, 1, :, 5:10], cache.values[:, 1, :, 5:10] = held, held
        cache.rows(1, 2).truncate(0)
        model(ids[1:2, :4], cache.rows(1, 2))
        logits.append(model(torch.stack((ids[0, 10:11], ids[1, 4:5], ids[2, 10:11])), cache))
    assert torch.equal(*logits)
    whole = model(ids)
    close(logits[0][:, 0], torch.stack((whole[0, 10], whole[1, 4], whole[2, 10])))


@torch.no_grad()
def test_rows_of_one_length_need_no_mask():
    model = build(SMALL)
    cache = empty(model)
    model(some_ids(model, length=4), cache)
    assert cache.begin(2) == (slice(4, 6), None)
    cache.rows(0, 1).truncate(1)
    places, mask = cache.begin(2)
    assert places.tolist() == [[1, 2], [4, 5], [4, 5]]
    assert mask[0, 0].tolist() == [[True] * 2 + [False] * 4, [True] * 3 + [False] * 3]


@torch.no_grad()
def test_more_than_the_room_is_refused_with_both_numbers():
    model = build(SMALL)
    cache, other = empty(model, max_length=8), empty(model)
    with pytest.raises(ModelError, match=r"9 tokens are more than the cache's max_length=8"):
        model(some_ids(model, length=9), cache)
    with pytest.raises(ModelError, match=r"9 tokens are more than the cache's max_length=8"):
        cache.put(other, 9)
    with pytest.raises(ModelError, match=r"25 tokens are more than context_length=24"):
        model(some_ids(model, length=25), KVCache(model.config, 3, 30))
