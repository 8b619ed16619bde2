"""The head that is written into the first weights does what it is for, and the model is otherwise as it was."""

import math

import pytest
import torch

from chainrule.base import ConfigError
from chainrule.config import Layer, ModelConfig, modern, resolve
from chainrule.model import GPT, plant_previous_token


def untouched(emb_dim=192, n_heads=3, n_layers=3, **more):
    shape = {**modern(emb_dim, n_heads, n_layers, 128, 500)["model"], **more}
    torch.manual_seed(3)
    return GPT(resolve([Layer("test", {"model": shape})]).config.model).eval()


def planted(*args, **more):
    model = untouched(*args, **more)
    plant_previous_token(model)
    return model


@pytest.fixture(scope="module", params=[(192, 3, {}), (128, 4, {}), (256, 8, {"n_kv_heads": 2}), (64, 1, {})])
def model(request):
    emb_dim, n_heads, more = request.param
    return planted(emb_dim, n_heads, **more)


@torch.no_grad()
def attention_of_the_first_head(model, ids):
    rotation = model.position_embedding.rotation(slice(0, ids.shape[1]))
    block = model.blocks[0]
    q, k, _ = block.attention.projected(block.attention_norm(model.token_embedding(ids)), rotation)
    q, k = q[:, 0], k[:, 0]
    seen = torch.ones(ids.shape[1], ids.shape[1], dtype=torch.bool).tril()
    return (q @ k.mT / math.sqrt(q.shape[-1])).masked_fill(~seen, -math.inf).softmax(-1)


def test_the_head_looks_at_the_token_before_whatever_the_text(model):
    ids = torch.randint(500, (16, 128), generator=torch.Generator().manual_seed(0))
    weights = attention_of_the_first_head(model, ids)
    places = torch.arange(2, 128)
    assert weights[:, places, places - 1].mean() > 0.5
    assert (weights[:, places].argmax(-1) == places - 1).all()


def test_without_it_no_head_does():
    ids = torch.randint(500, (16, 128), generator=torch.Generator().manual_seed(0))
    weights = attention_of_the_first_head(untouched(), ids)
    places = torch.arange(2, 128)
    assert weights[:, places, places - 1].mean() < 0.1


def test_an_untrained_model_still_knows_nothing(model):
    ids = torch.randint(500, (16, 128), generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        assert model.loss(ids[:, :-1], ids[:, 1:]).item() == pytest.approx(math.log(500), abs=0.3)


def test_all_else_stays_as_it_was():
    model, before = planted(), dict(untouched().named_parameters())
    changed = {name for name, parameter in model.named_parameters() if not torch.equal(parameter, before[name])}
    keys = {f"blocks.{layer}.attention.k_norm.weight" for layer in (0, 1)}
    assert changed == {"token_embedding.weight", "blocks.0.attention.qkv.weight", *keys}
    width = model.config.head_dim
    rows = (model.blocks[0].attention.qkv.weight != before["blocks.0.attention.qkv.weight"]).any(dim=1).nonzero()[:, 0]
    assert rows.tolist() == [*range(width), *range(3 * width, 4 * width)]


def test_a_shape_without_room_for_it_is_refused_with_the_reason():
    with pytest.raises(ConfigError, match="qk_norm=true"):
        planted(qk_norm=False)
    with pytest.raises(ConfigError, match="position=rope"):
        plant_previous_token(GPT(ModelConfig(vocab_size=50, context_length=8, emb_dim=16, n_heads=2, n_layers=2)))
    with pytest.raises(ConfigError, match="previous-token needs"):
        resolve([Layer("flag", {"training": {"first_weights": "previous-token"}})])
