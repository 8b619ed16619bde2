import math

import pytest
import torch

from chainrule.base import ModelError
from chainrule.config import Layer, ModelConfig, preset, resolve
from chainrule.model import GPT, IGNORED, KVCache

SMALL = {"vocab_size": 61, "context_length": 24, "emb_dim": 32, "n_heads": 4, "n_layers": 2, "drop_rate": 0.0}
MODERN = {"norm": "rmsnorm", "position": "rope", "activation": "swiglu", "bias": False}
SHAPES = {
    "gpt2": SMALL,
    "gpt2 with query biases, untied": {**SMALL, "qkv_bias": True, "tied_embeddings": False},
    "llama": {**SMALL, **MODERN},
    "qwen3 with grouped heads": {**SMALL, **MODERN, "qk_norm": True, "n_kv_heads": 2, "head_dim": 16},
}
each_shape = pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES.keys())


def build(shape: dict) -> GPT:
    torch.manual_seed(0)
    return GPT(ModelConfig(**shape))


def some_ids(model: GPT, batch: int = 3, length: int = 20) -> torch.Tensor:
    return torch.randint(0, model.config.vocab_size, (batch, length), generator=torch.Generator().manual_seed(1))


def test_gpt2_124m_has_the_published_number_of_parameters():
    with torch.device("meta"):
        tied = GPT(resolve([preset("gpt2-124m")]).config.model)
        untied = GPT(resolve([preset("gpt2-124m"), Layer("f", {"model": {"tied_embeddings": False}})]).config.model)
    assert sum(p.numel() for p in tied.parameters()) == 124_412_160
    assert sum(p.numel() for p in untied.parameters()) == 163_009_536


@each_shape
def test_a_place_does_not_see_what_comes_after_it(shape):
    model = build(shape).eval()
    ids = some_ids(model)
    changed = ids.clone()
    changed[:, 10:] = (changed[:, 10:] + 1) % model.config.vocab_size
    torch.testing.assert_close(model(ids)[:, :10], model(changed)[:, :10])
    assert not torch.allclose(model(ids)[:, 10:], model(changed)[:, 10:])


@each_shape
def test_logits_with_a_cache_equal_those_without(shape):
    model = build(shape).eval()
    ids = some_ids(model)
    with torch.no_grad():
        whole = model(ids)
        cache = KVCache(model.config, batch=3, max_length=20)
        portions = (slice(0, 7), slice(7, 13), *(slice(i, i + 1) for i in range(13, 20)))
        parts = [model(ids[:, portion], cache) for portion in portions]
    torch.testing.assert_close(torch.cat(parts, dim=1), whole, atol=1e-5, rtol=1e-5)
    assert cache.length == 20


@each_shape
def test_an_untrained_model_is_as_surprised_as_a_fair_die(shape):
    model = build(shape)
    ids = some_ids(model)
    assert model.loss(ids, ids.roll(-1, 1)).item() == pytest.approx(math.log(61), abs=0.15)


def test_the_residual_scaled_start_keeps_the_stream_from_growing_with_depth():
    spreads = []
    for n_layers in (2, 32):
        model = build({**SMALL, "n_layers": n_layers}).eval()
        x = model.token_embedding(some_ids(model))
        before = x.std()
        for block in model.blocks:
            x = block(x)
        spreads.append((x.std() / before).item())
    assert spreads[1] < 2 * spreads[0]


@each_shape
def test_attention_inside_documents_equals_documents_alone(shape):
    model = build({**shape, "position": "rope", **MODERN, "qkv_bias": False}).eval()
    ids = some_ids(model, batch=1, length=20)
    documents = torch.tensor([[0] * 8 + [1] * 12])
    together = model(ids, documents=documents)
    torch.testing.assert_close(together[:, :8], model(ids[:, :8]), atol=1e-5, rtol=1e-5)
    # Rotary positions are relative: a document's logits do not depend on where in the window it begins.
    torch.testing.assert_close(together[:, 8:], model(ids[:, 8:]), atol=1e-5, rtol=1e-5)


@each_shape
def test_recomputing_activations_changes_no_gradient(shape):
    gradients = []
    for checkpointing in (False, True):
        model = build(shape)
        model.checkpointing = checkpointing
        ids = some_ids(model)
        model.loss(ids, ids.roll(-1, 1)).backward()
        gradients.append({name: p.grad for name, p in model.named_parameters()})
    for name, gradient in gradients[0].items():
        torch.testing.assert_close(gradients[1][name], gradient, atol=1e-7, rtol=1e-5)


def test_ignored_targets_count_for_nothing_and_none_at_all_is_no_nan():
    model = build(SMALL)
    ids = some_ids(model)
    targets = ids.roll(-1, 1)
    half = targets.clone()
    half[:, 10:] = IGNORED
    expected = model.token_losses(ids, targets)[:, :10].mean()
    torch.testing.assert_close(model.loss(ids, half), expected)
    assert model.loss(ids, torch.full_like(ids, IGNORED)).item() == 0.0


def test_a_text_longer_than_the_context_is_refused_with_both_numbers():
    model = build(SMALL)
    with pytest.raises(ModelError, match=r"25 tokens are more than context_length=24"):
        model(some_ids(model, length=25))


def test_dropout_acts_while_training_alone():
    model = build({**SMALL, "drop_rate": 0.5})
    ids = some_ids(model)
    assert not torch.equal(model(ids), model(ids))
    model.eval()
    assert torch.equal(model(ids), model(ids))
