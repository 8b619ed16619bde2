"""Laws of a model with packed weights: near the full one, which stays as it was; what does not fit is named."""

from dataclasses import replace

import pytest
import torch
from torch import nn

from chainrule.base import ConfigError
from chainrule.checkpoint import OpenedModel
from chainrule.config import ModelConfig
from chainrule.generate import generate, lost_bits, quantised, sampling_rules
from chainrule.generate import quantise as room
from chainrule.model import GPT, Int4Linear, Int8Linear, TurnedLinear
from chainrule.model.packed import PackedLinear
from chainrule.tokenizer.train import byte_tokenizer

MODERN = {"norm": "rmsnorm", "position": "rope", "activation": "swiglu", "bias": False, "n_kv_heads": 2}
FAMILIES = {"gpt2, tied": {}, "gpt2 with biases": {"qkv_bias": True}, "llama": {**MODERN, "tied_embeddings": False}}
TEXT = "A model is held against itself on a text, and what the fewer bits lose is said in bits a byte. " * 2


def opened(emb_dim: int = 64, **shape) -> OpenedModel:
    tokenizer = byte_tokenizer()
    config = ModelConfig(
        vocab_size=tokenizer.vocab_size, context_length=64, emb_dim=emb_dim, n_heads=4, n_layers=2, **shape
    )
    torch.manual_seed(0)
    model = GPT(config).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() > 1:
                parameter.mul_(2)
    return OpenedModel(model, tokenizer, config, "a model of a test")


@torch.no_grad()
@pytest.mark.parametrize("weights", ["int8", "int4", "bfloat16"])
@pytest.mark.parametrize("family", FAMILIES)
def test_packed_weights_give_nearly_the_scores_of_the_full_ones(family, weights):
    full, said = opened(**FAMILIES[family]), list[str]()
    few = quantised(full, weights, on_fallback=said.append)
    assert few.origin == f"a model of a test, {weights} weights"
    ids = torch.randint(0, 256, (2, 30), generator=torch.Generator().manual_seed(0))
    right, ours = full.model(ids), few.model(ids)
    share = float((ours - right).std() / right.std())
    assert share < {"int8": 0.03, "int4": 0.4, "bfloat16": 0.03}[weights] and (share > 0 or said)


@torch.no_grad()
@pytest.mark.parametrize("family", FAMILIES)
def test_turned_weights_are_the_same_numbers_and_write_the_same_text(family):
    full, said = opened(**FAMILIES[family]), list[str]()
    turned = quantised(full, "float32-turned", on_fallback=said.append)
    assert not said and any(isinstance(one, TurnedLinear) for one in turned.model.modules())
    ids = torch.randint(0, 256, (2, 30), generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(turned.model(ids), full.model(ids), rtol=0, atol=1e-4)
    rules = sampling_rules(temperature=0)
    texts = [
        [one.text for one in generate(model.model, model.tokenizer, ["The ", "A row"], max_new_tokens=20, rules=rules)]
        for model in (full, turned)
    ]
    assert texts[0] == texts[1]


@pytest.mark.parametrize("weights", ["int8", "int4"])
def test_the_full_model_stays_as_it_was_and_shares_what_was_not_packed(weights):
    full = opened(**FAMILIES["llama"])
    before = {name: tensor.clone() for name, tensor in full.model.state_dict().items()}
    few = quantised(full, weights)
    assert {
        name: torch.equal(tensor, before[name]) for name, tensor in full.model.state_dict().items()
    } == dict.fromkeys(before, True)
    assert isinstance(full.model.head, nn.Linear) and isinstance(few.model.head, PackedLinear)
    assert few.model.token_embedding is not full.model.token_embedding
    assert few.model.token_embedding.weight is full.model.token_embedding.weight
    assert not any(type(module) is nn.Linear for module in few.model.modules())


def test_full_weights_are_the_model_itself_and_other_words_are_refused():
    full = opened()
    assert quantised(full, "float32") is full
    words = "weights='int3' are none that can be had; use float32, float32-turned, bfloat16, int8, int4"
    with pytest.raises(ConfigError, match=words):
        quantised(full, "int3")


def test_a_layer_that_four_bits_do_not_fit_gets_eight_and_is_named():
    full, said = opened(emb_dim=48), list[str]()
    few = quantised(full, "int4", on_fallback=said.append)
    # 48 inputs are not whole groups of 32; the 192 of the feed-forward's second layer are.
    kinds = [type(one) for one in few.model.modules() if isinstance(one, PackedLinear)]
    assert kinds.count(Int4Linear) == 2 and len(kinds) == 9
    assert [one for one in said if "int4" in one] == [
        "int4 takes no 48 inputs and 144 outputs, which 32 and 16 do not divide (2 layers, which get the next best)",
        "int4 takes no 48 inputs and 48 outputs, which 32 and 16 do not divide (2 layers, which get the next best)",
        "int4 takes no 48 inputs and 192 outputs, which 32 and 16 do not divide (2 layers, which get the next best)",
    ]


class _Wrong(Int8Linear):
    def forward(self, x):
        return super().forward(x) * 1.1


def test_a_product_that_is_wrong_or_missing_here_is_not_used_and_says_so(monkeypatch):
    def missing(linear):
        raise AttributeError("'_OpNamespace' 'aten' object has no attribute 'product'")

    def wrong(linear):
        layer = _Wrong(linear.weight, linear.bias)
        return layer, layer.dequantised()

    products = (room.Product("this", missing), room.Product("that", wrong))
    monkeypatch.setitem(room.PRODUCTS, "int8", products)
    monkeypatch.setitem(room.HEADS, "int8", products)
    full, said = opened(), list[str]()
    few = quantised(full, "int8", on_fallback=said.append)
    assert len(said) == 2 and "that is wrong on this processor by more than 2% of the result" in said[1]
    assert "this is missing or refused here: '_OpNamespace'" in said[0]
    ids = torch.arange(20)[None]
    assert torch.equal(few.model(ids), full.model(ids))


@pytest.mark.parametrize("weights", ["int8", "int4"])
def test_a_text_by_packed_weights_is_the_same_alone_and_beside_others(weights):
    few = quantised(opened(**FAMILIES["llama"]), weights)
    prompts = ["one", "another", "and a third"]
    rules = sampling_rules(temperature=0)
    together = generate(few.model, few.tokenizer, prompts, max_new_tokens=12, rules=rules)
    alone = [generate(few.model, few.tokenizer, [one], max_new_tokens=12, rules=rules)[0] for one in prompts]
    assert [one.ids for one in together] == [one.ids for one in alone]


def test_what_fewer_bits_lose_is_measured_on_a_text():
    full = opened(**FAMILIES["llama"])
    lost = lost_bits(full, quantised(full, "int4"), TEXT)
    assert lost.before > 0 and lost.after > 0 and lost.before != lost.after
    assert lost.words == (
        f"{lost.before:.4f} bits per byte with full weights, {lost.after:.4f} so: {lost.share:+.2%} "
        f"({lost.n_bytes:,} bytes)"
    )
    same = lost_bits(full, replace(full, origin="again"), TEXT)
    assert same.before == same.after and same.share == 0
    with pytest.raises(ConfigError, match="a text of 1 tokens"):
        lost_bits(full, full, "a")
