"""One token's chain rule: its gradient by place and depth equals autograd's; what cannot be looked at is refused."""

import math

import pytest
import torch
from lens.models import GPT2, MODERN

from chainrule.base import LensError
from chainrule.checkpoint import OpenedModel
from chainrule.config import ModelConfig
from chainrule.generate import quantised
from chainrule.lens import render
from chainrule.lens.opening import look_at_token
from chainrule.model import GPT
from chainrule.tokenizer.train import byte_tokenizer

IDS = [5, 9, 2, 30, 7, 11]


@pytest.fixture(params=[GPT2, MODERN], ids=["gpt2", "modern"])
def model(request):
    torch.manual_seed(0)
    return GPT(ModelConfig(**request.param)).double().eval()


def by_autograd(model):
    """The log-probability, and the gradient by what each module of the outermost level hands on."""
    kept = {}
    parts = {"token_embedding": model.token_embedding, "final_norm": model.final_norm}
    parts |= {f"blocks.{n}": block for n, block in enumerate(model.blocks)}
    hooks = [
        part.register_forward_hook(lambda _, __, out, name=name: (kept.setdefault(name, out), out.retain_grad())[1])
        for name, part in parts.items()
    ]
    model.zero_grad()
    logprob = model(torch.tensor([IDS[:-1]])).log_softmax(-1)[0, -1, IDS[-1]]
    (-logprob).backward()
    for hook in hooks:
        hook.remove()
    return float(logprob.detach()), {name: out.grad[0].norm(dim=-1).tolist() for name, out in kept.items()}


def test_the_gradients_by_place_and_depth_are_autograds(model):
    look = look_at_token(model, IDS)
    logprob, places = by_autograd(model)
    assert look.logprob == pytest.approx(logprob, rel=1e-10)
    assert [one.module for one in look.depths] == ["final_norm", "blocks.1", "blocks.0", "token_embedding"]
    for one in look.depths:
        assert one.arrives == pytest.approx(places[one.module], rel=1e-8, abs=1e-12)
    own = {name: weight.grad for name, weight in model.named_parameters() if weight.grad is not None}
    assert look.weights == pytest.approx(math.sqrt(sum(float(g.square().sum()) for g in own.values())), rel=1e-8)
    for one in look.depths:
        inside = [g for name, g in own.items() if name.startswith(f"{one.module}.")]
        assert one.weights == pytest.approx(math.sqrt(sum(float(g.square().sum()) for g in inside)), rel=1e-8)
        assert one.n_weights == sum(g.numel() for g in inside)


def test_a_small_step_along_it_raises_the_probability_by_its_square(model):
    look, size = look_at_token(model, IDS), 1e-6
    by_autograd(model)
    with torch.no_grad():
        for weight in model.parameters():
            if weight.grad is not None:
                weight -= size * weight.grad
    assert (look_at_token(model, IDS).logprob - look.logprob) / size == pytest.approx(look.weights**2, rel=1e-3)


def test_it_is_told_as_text_and_as_json(model):
    look = look_at_token(model, IDS)
    text = render(look)
    assert "blocks.1" in text and "token_embedding" in text and max(map(len, text.splitlines())) <= 100
    assert f'"logprob": {look.logprob}' in render(look, "json")


def test_what_cannot_be_looked_at_is_refused(model):
    for ids, word in (([5], "at least 2"), ([5, 61], "0 to 60"), ([5, -1], "0 to 60"), ([1] * 18, "context of 16")):
        with pytest.raises(LensError, match=word):
            look_at_token(model, ids)


def test_packed_weights_have_no_gradient_and_are_refused():
    torch.manual_seed(0)
    config = ModelConfig(**{**MODERN, "vocab_size": 257, "emb_dim": 32})
    opened = OpenedModel(GPT(config).eval(), byte_tokenizer(), config, "a test's model")
    with pytest.raises(LensError, match="packed"):
        look_at_token(quantised(opened, "int8").model, IDS)
