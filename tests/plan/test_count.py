"""The count is exact: it equals the model, weight by weight."""

import pytest
import torch

from chainrule.config import PRESETS, ModelConfig, preset, resolve
from chainrule.model import GPT
from chainrule.plan import parameters

MODERN = {"norm": "rmsnorm", "position": "rope", "activation": "swiglu", "bias": False}
SMALL = {"vocab_size": 300, "context_length": 32, "emb_dim": 48, "n_heads": 4, "n_layers": 3}
ODD_SHAPES = [
    SMALL,
    SMALL | {"tied_embeddings": False, "qkv_bias": True},
    SMALL | {"bias": False, "hidden_dim": 100},
    SMALL | MODERN,
    SMALL | MODERN | {"n_kv_heads": 2, "head_dim": 8, "hidden_dim": 72, "tied_embeddings": False},
    SMALL | MODERN | {"qk_norm": True, "n_kv_heads": 1},
]
COMPONENT_OF = {
    "token_embedding": "embedding",
    "position_embedding": "positions",
    "attention_norm": "norms",
    "feed_forward_norm": "norms",
    "q_norm": "norms",
    "k_norm": "norms",
    "final_norm": "norms",
    "attention": "attention",
    "feed_forward": "feed_forward",
    "head": "head",
}


def built(model: ModelConfig) -> dict[str, int]:
    """The built model's weights by component: the innermost part of a name that names one decides."""
    counts = dict.fromkeys(("embedding", "positions", "attention", "feed_forward", "norms", "head"), 0)
    with torch.device("meta"):
        weights = dict(GPT(model).named_parameters())
    for name, weight in weights.items():
        part = next(part for part in reversed(name.split(".")) if part in COMPONENT_OF)
        counts[COMPONENT_OF[part]] += weight.numel()
    return counts


@pytest.mark.parametrize("name", PRESETS)
def test_every_presets_count_is_the_built_model(name):
    model = resolve([preset(name)]).config.model
    assert parameters(model).components() == built(model)


@pytest.mark.parametrize("shape", ODD_SHAPES)
def test_any_shapes_count_is_the_built_model(shape):
    model = ModelConfig(**shape)
    assert parameters(model).components() == built(model)


@pytest.mark.parametrize(
    ("preset_name", "extra", "total"),
    [
        ("gpt2-124m", {}, 124_412_160),
        ("gpt2-124m", {"tied_embeddings": False}, 163_009_536),
        ("gpt2-124m", {"qkv_bias": True}, 124_439_808),
        ("gpt2-355m", {"qkv_bias": True}, 354_823_168),
        ("gpt2-774m", {"qkv_bias": True}, 774_030_080),
        ("gpt2-1558m", {"qkv_bias": True}, 1_557_611_200),
    ],
)
def test_gpt2_has_the_published_count(preset_name, extra, total):
    shape = resolve([preset(preset_name)]).config.model
    assert parameters(shape.model_copy(update=extra)).total == total
