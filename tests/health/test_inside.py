"""Norms by layer, activations, attention and the noise scale, against what they are by definition."""

import math

import pytest
import torch
from torch import nn
from torch.nn.functional import scaled_dot_product_attention as sdpa

from chainrule.base import layer_in_words, layer_of
from chainrule.config import ModelConfig
from chainrule.health import NormMeter, look_inside, parameter_norms
from chainrule.health.attention import head_health
from chainrule.health.layers import parameter_layers, watched_modules
from chainrule.model import GPT
from chainrule.run import NoiseScale, noise_scale

SHAPE = ModelConfig(vocab_size=50, context_length=12, emb_dim=16, n_heads=4, n_kv_heads=4, n_layers=2, drop_rate=0.1)
MODERN = ModelConfig(
    vocab_size=50, context_length=12, emb_dim=16, n_heads=4, n_kv_heads=2, n_layers=2, norm="rmsnorm", position="rope",
    activation="swiglu", bias=False, qk_norm=True, drop_rate=0.0, tied_embeddings=False,
)  # fmt: skip


@pytest.fixture(params=[SHAPE, MODERN], ids=["gpt2", "qwen3"])
def gpt(request):
    torch.manual_seed(0)
    return GPT(request.param)


@pytest.mark.parametrize(
    ("path", "layer", "words"),
    [
        ("blocks.3.attention.qkv", "blocks.3.attention", "block 3’s attention"),
        ("transformer.h.11.mlp.c_fc", "transformer.h.11.mlp", "block 11’s mlp"),
        ("token_embedding", "token_embedding", "the token embedding"),
        ("0", "0", "block 0"),
    ],
)
def test_a_layer_is_known_by_the_number_in_its_path(path, layer, words):
    assert layer_of(path) == layer
    assert layer_in_words(layer) == words


def test_every_parameter_belongs_to_one_layer(gpt):
    groups = parameter_layers(gpt)
    assert [name for names in groups.values() for name in names] == [name for name, _ in gpt.named_parameters()]
    assert {"token_embedding", "blocks.0.attention", "blocks.1.feed_forward", "final_norm"} <= set(groups)


def backward(gpt, seed=0):
    ids = torch.randint(0, 50, (3, 13), generator=torch.Generator().manual_seed(seed))
    gpt.loss(ids[:, :-1], ids[:, 1:]).backward()
    return parameter_norms(one.grad for one in gpt.parameters())


def test_norms_of_a_layer_are_those_of_its_parameters_laid_end_to_end(gpt):
    meter, gradients = NormMeter(gpt), backward(gpt)
    old = {name: parameter.detach().clone() for name, parameter in gpt.named_parameters()}
    weights = list(gpt.parameters())
    for portion in (weights[:3], weights[3:]):
        with meter.moving(portion):
            torch.optim.AdamW(portion, lr=0.01).step()
    found = meter.measure(gradients)
    new = dict(gpt.named_parameters())
    for place, names in enumerate(parameter_layers(gpt).values()):
        pairs = [
            (found.gradient, [new[name].grad for name in names]),
            (found.weight, [new[name].detach() for name in names]),
            (found.update, [new[name].detach() - old[name] for name in names]),
        ]
        for norms, tensors in pairs:
            expected = torch.cat([one.flatten() for one in tensors]).double().norm().item()
            assert norms[place] == pytest.approx(expected, rel=1e-5)
        assert found.ratio[place] == pytest.approx(found.update[place] / found.weight[place])


def test_the_norm_of_the_norms_is_torchs_total_norm_to_the_bit(gpt):
    norms = backward(gpt)
    total = torch.nn.utils.get_total_norm([one.grad for one in gpt.parameters()])
    assert torch.equal(torch.linalg.vector_norm(norms), total)


def test_a_gradient_that_is_not_finite_shows_in_its_layer_alone(gpt):
    backward(gpt)
    gpt.blocks[1].attention.qkv.weight.grad[0, 0] = float("nan")
    meter = NormMeter(gpt)
    norms = meter.by_layer(parameter_norms(one.grad for one in gpt.parameters()).tolist())
    bad = [layer for layer, norm in zip(meter.layers, norms, strict=True) if not math.isfinite(norm)]
    assert bad == ["blocks.1.attention"]


def test_a_look_inside_sees_what_hooks_of_ones_own_would_and_leaves_none(gpt):
    gpt.eval()
    ids = torch.arange(12)[None]
    seen = {}
    hook = gpt.blocks[1].feed_forward.register_forward_hook(lambda module, inputs, out: seen.update(out=out.detach()))
    units = [f"blocks.{n}.feed_forward.down" for n in range(2)]
    before = torch.get_rng_state()
    inside = look_inside(gpt, lambda: gpt(ids), units=units)
    hook.remove()
    assert torch.equal(before, torch.get_rng_state())
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in gpt.modules())
    one = inside.outputs["blocks.1.feed_forward"]
    assert one.std == pytest.approx(seen["out"].std(correction=0).item(), rel=1e-5)
    assert one.mean == pytest.approx(seen["out"].mean().item(), abs=1e-6)
    assert one.largest == pytest.approx(seen["out"].abs().max().item())
    assert list(inside.units) == units
    assert list(inside.attention) == ["blocks.0.attention", "blocks.1.attention"]
    assert set(inside.outputs) <= set(watched_modules(gpt))


def test_a_unit_is_dead_when_no_token_wakes_it():
    model = nn.Sequential(nn.Linear(4, 10), nn.ReLU(), nn.Linear(10, 2))
    with torch.no_grad():
        model[0].weight[:3] = 0.0
        model[0].bias[:3] = -1.0
        model[0].weight[3:] = torch.randn(7, 4, generator=torch.Generator().manual_seed(1))
        model[0].bias[3:] = 0.5
    x = torch.randn(64, 4, generator=torch.Generator().manual_seed(0))
    inside = look_inside(model, lambda: model(x))
    assert inside.units["1"].dead == pytest.approx(0.3)
    assert inside.units["1"].silent >= 0.3
    assert inside.outputs["1"].zeros == pytest.approx((model[1](model[0](x)) == 0).float().mean().item())


def dense(q, k, allowed):
    """Entropy by head and largest logit, written out."""
    logits = (q @ k.mT / math.sqrt(q.shape[-1])).masked_fill(~allowed, -math.inf)
    p = logits.softmax(-1)
    entropy = -(p * p.clamp(min=1e-30).log()).sum(-1)
    count = allowed.sum(-1).expand(logits.shape[:-1]).float()
    kept = count > 1
    share = torch.where(kept, entropy / count.clamp(min=2).log(), 0.0).sum((0, 2)) / kept.sum((0, 2))
    return share, logits.masked_fill(~allowed, 0.0).abs().max()


@pytest.mark.parametrize("kind", ["causal", "documents", "open"])
def test_entropy_and_largest_logit_are_those_of_the_whole_matrix(kind):
    chance = torch.Generator().manual_seed(0)
    q, k = (torch.randn(2, 3, 20, 8, generator=chance) for _ in range(2))
    allowed = torch.ones(20, 20, dtype=torch.bool)
    mask = None
    if kind == "documents":
        document = torch.arange(20) // 7
        mask = (document[:, None] == document)[None, None] & allowed.tril()
        allowed = mask[0, 0]
    elif kind == "causal":
        allowed = allowed.tril()
    found = head_health(q, k, mask=mask, causal=kind == "causal")
    entropy, largest = dense(q, k, allowed)
    assert torch.allclose(found[:3], entropy, atol=1e-5)
    assert found[3].item() == pytest.approx(largest.item(), rel=1e-5)


def test_looking_everywhere_has_entropy_one_and_looking_at_one_place_none():
    q = torch.zeros(1, 1, 16, 4)
    assert head_health(q, q, causal=True)[0].item() == pytest.approx(1.0, abs=1e-6)
    sharp = torch.eye(16)[None, None] * 100
    assert head_health(sharp, sharp, causal=True)[0].item() == pytest.approx(0.0, abs=1e-6)


def test_attention_is_seen_in_any_module_that_calls_torchs_own():
    class Foreign(nn.Module):
        def forward(self, x):
            return sdpa(x, x, value=x, is_causal=True)

    model = nn.Sequential(Foreign(), Foreign())
    x = torch.randn(1, 2, 6, 4, generator=torch.Generator().manual_seed(0))
    assert list(look_inside(model, lambda: model(x)).attention) == ["0", "1"]


def test_the_noise_scale_is_recovered_from_gradients_of_known_noise():
    chance = torch.Generator().manual_seed(0)
    truth = torch.randn(40, generator=chance)
    truth *= 2.0 / truth.norm()  # |G|² = 4
    std, small, big = 0.5, 4, 32  # summed variance of one sample: 40 * 0.25 = 10
    total = NoiseScale()
    for _ in range(3000):
        samples = truth + std * torch.randn(big, 40, generator=chance)
        # The small batch is a part of the big one, as the first micro-batch is of its step.
        norms = samples[:small].mean(0).norm().item(), samples.mean(0).norm().item()
        total += noise_scale(norms[0], small, norms[1], big)
    assert total.n_steps == 3000
    assert total.gradient_squared == pytest.approx(4.0, rel=0.02)
    assert total.variance == pytest.approx(10.0, rel=0.05)
    assert total.samples == pytest.approx(2.5, rel=0.06)


def test_two_expected_norms_give_back_gradient_and_variance():
    gradient, variance, small, big = 3.0, 7.0, 2, 8
    one = noise_scale(math.sqrt(gradient + variance / small), small, math.sqrt(gradient + variance / big), big)
    assert one.gradient_squared == pytest.approx(gradient)
    assert one.variance == pytest.approx(variance)


def test_too_few_steps_to_tell_give_no_noise_scale():
    assert NoiseScale().samples is None
    assert NoiseScale(-0.1, 2.0, 3).samples is None
    with pytest.raises(ValueError, match="0 < small < big"):
        noise_scale(1.0, 4, 1.0, 4)
