from contextlib import nullcontext

import pytest
import torch
from torch import nn

from chainrule.base import LensError, processor_class
from chainrule.config import ModelConfig
from chainrule.lens import capture, verify
from chainrule.lens.prove import proof_facts, proof_lines
from chainrule.model import GPT

SMALL = {"vocab_size": 31, "context_length": 12, "emb_dim": 16, "n_heads": 2, "n_layers": 2, "drop_rate": 0.1}
MODERN = {"norm": "rmsnorm", "position": "rope", "activation": "swiglu", "bias": False, "n_kv_heads": 1}


def small_gpt(dtype=torch.float32, **changes):
    torch.manual_seed(0)
    return GPT(ModelConfig(**{**SMALL, **changes})).train().to(dtype)


def windows():
    ids = torch.randint(0, 31, (4, 11), generator=torch.Generator().manual_seed(1))
    return ids[:, :-1], ids[:, 1:]


def bfloat16():
    return torch.autocast("cpu", dtype=torch.bfloat16)


PRECISIONS = {
    "float64": (torch.float64, nullcontext),
    "float32": (torch.float32, nullcontext),
    "autocast to bfloat16": (torch.float32, bfloat16),
    "bfloat16 weights": (torch.bfloat16, nullcontext),
}


@pytest.mark.parametrize(("dtype", "context"), PRECISIONS.values(), ids=PRECISIONS)
@pytest.mark.parametrize("shape", [{}, pytest.param(MODERN, marks=pytest.mark.slow)], ids=["gpt2", "llama"])
def test_the_error_of_a_step_is_about_the_one_to_be_expected(shape, dtype, context):
    """With dropout: the masks of the step are used again."""
    model = small_gpt(dtype, **shape)
    with context():
        step = capture(model.loss, windows())
    report = verify(step=step)
    assert report.ok, report.summary
    ratios = sorted(one.error / one.tolerance.expected for one in report.parameters)
    # The largest is a bias's, a sum over all places: in bfloat16 3.4 with AVX-512, 5.2 where bfloat16 is emulated.
    emulated = dtype == torch.bfloat16 and not processor_class().bfloat16
    assert ratios[-1] < (8 if emulated else 5)
    assert 0.05 < ratios[len(ratios) // 2] < 2
    assert len(report.parameters) == len(list(model.parameters()))
    narrow = min(step.formats.values(), key=lambda one: -torch.finfo(one).eps)
    assert any(str(one.dtype) == str(narrow) for one in report.segments) or dtype == torch.float64
    assert max(map(len, proof_lines(report))) <= 100


@pytest.mark.parametrize(
    ("factor", "context"), [(1.0001, nullcontext), (1.2, bfloat16)], ids=["float32", "autocast to bfloat16"]
)
def test_a_gradient_that_is_too_large_beyond_rounding_is_found(factor, context):
    model = small_gpt()
    weight = model.blocks[1].feed_forward.up.weight
    handle = weight.register_hook(lambda gradient: gradient * factor)
    with context():
        report = verify(step=capture(model.loss, windows()))
    handle.remove()
    assert not report.ok
    assert [one.name for one in report.parameters if not one.ok] == ["blocks.1.feed_forward.up.weight"]
    assert "blocks.1.feed_forward.up.weight" in report.summary


def test_a_fault_in_a_few_elements_is_found_where_the_scale_does_not_show_it():
    model = small_gpt()

    def bent(gradient):
        changed = gradient.clone()
        changed[0, 0] += 1e-3 * gradient.abs().max()
        return changed

    model.blocks[0].attention.out.weight.register_hook(bent)
    report = verify(step=capture(model.loss, windows()))
    assert [one.name for one in report.parameters if not one.ok] == ["blocks.0.attention.out.weight"]


def test_what_would_have_been_noticed_is_noticed():
    model = small_gpt(drop_rate=0.0)
    with bfloat16():
        step = capture(model.loss, windows())
        checks = {one.name: one for one in verify(step=step).parameters}
        name, weight = "blocks.1.attention.qkv.weight", model.blocks[1].attention.qkv.weight
        weight.register_hook(lambda gradient: gradient * (1 + 2 * checks[name].scale_tolerance.noticed))
        report = verify(step=capture(model.loss, windows()))
    assert [one.name for one in report.parameters if not one.ok] == [name]


def test_the_callers_model_is_as_before():
    model = small_gpt()
    model.loss(*windows()).backward()
    gradients = [weight.grad for weight in model.parameters()]
    copies = [gradient.clone() for gradient in gradients]
    state = torch.get_rng_state()
    capture(model.loss, windows())
    assert all(weight.grad is gradient for weight, gradient in zip(model.parameters(), gradients, strict=True))
    assert all(torch.equal(one, other) for one, other in zip(gradients, copies, strict=True))
    assert torch.equal(torch.get_rng_state(), state)


def test_a_step_outlives_the_update_of_the_weights():
    model = small_gpt()
    step = capture(model.loss, windows())
    before = proof_facts(verify(step=step))
    with torch.no_grad():
        for weight in model.parameters():
            weight.mul_(2)
    after = proof_facts(verify(step=step))
    assert {**before, "seconds": 0} == {**after, "seconds": 0}


def test_a_run_of_the_callers_own_scales_its_loss():
    model = small_gpt()

    def run():
        loss = model.loss(*windows())
        (loss * 1024).backward()
        for weight in model.parameters():
            weight.grad.div_(1024)
        return loss

    assert verify(step=capture(model.loss, windows(), run=run)).ok


def test_a_run_without_backward_is_told_apart():
    model = small_gpt()
    with pytest.raises(LensError, match="no gradient"):
        capture(model.loss, windows(), run=lambda: model.loss(*windows()))


def test_a_run_with_other_dropout_masks_cannot_be_compared():
    model = small_gpt(drop_rate=0.5)

    def run():
        torch.manual_seed(5)
        loss = model.loss(*windows())
        loss.backward()
        return loss

    with pytest.raises(LensError, match="set dropout to 0"):
        verify(step=capture(model.loss, windows(), run=run))


def test_a_wrong_forward_pass_is_told_apart_from_a_wrong_gradient():
    model = small_gpt(drop_rate=0.0)

    def run():
        loss = model.loss(*windows()) * 1.01
        loss.backward()
        return loss

    report = verify(step=capture(model.loss, windows(), run=run))
    assert not report.ok
    assert "the loss itself" in report.summary


def test_units_that_rounding_switches_are_part_of_the_model():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(8, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 1))
    model = model.to(torch.bfloat16)
    batch = torch.randn(32, 8, dtype=torch.bfloat16)
    report = verify(step=capture(model, batch, lambda out: out.square().mean()))
    assert report.ok, report.summary


def test_a_step_whose_result_was_written_to_past_autograd_is_repeated():
    layer = nn.Linear(4, 3)

    def program(x):
        y = layer(x) * 2
        y.detach().clamp_(min=-0.5)
        return y.sin().sum()

    assert verify(step=capture(program, torch.randn(5, 4))).verdict == "proved"
