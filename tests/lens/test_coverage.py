"""No rule missing, and our gradients are autograd's, on every kind of model that the lens must cover."""

import pytest
import torch
from lens.agreement import largest_errors, missing_rules
from lens.models import OURS, Widened, transformers_model

from chainrule.lens.rules import RULES

EXACT = 1e-13
LEVELS = pytest.mark.parametrize("level", ["op", "core"])
TRANSFORMERS = [
    (name, attention)
    for name in ("GPT2", "Llama", "Qwen2", "GPTNeoX", "Gemma2")
    for attention in ("eager", "sdpa")
    if (name, attention) != ("Gemma2", "sdpa")  # which transformers refuses to build
]


def assert_exact(tape):
    assert not missing_rules(tape)
    worst = largest_errors(tape)
    assert len(worst) >= 4
    assert max(worst.values()) <= EXACT, worst


@LEVELS
@pytest.mark.parametrize("name", OURS)
def test_our_models_a_convolutional_and_a_recurrent_network_are_covered(name, level):
    assert_exact(OURS[name]().record(level=level))


@LEVELS
@pytest.mark.parametrize(("name", "attention"), TRANSFORMERS)
def test_the_models_of_transformers_are_covered(name, attention, level):
    with Widened():
        tape = transformers_model(name, attention).record(level=level)
    assert not any(value.meta.dtype == torch.float32 for value in tape.values if value.differentiable)
    assert_exact(tape)


@pytest.mark.parametrize("name", ["GPT2", "Llama", "Gemma2"])
def test_where_a_model_rounds_to_float32_inside_the_gradients_differ_by_that_rounding_and_no_more(name):
    """These compute norms, rotations or the loss in float32, whatever the type of their weights."""
    tape = transformers_model(name, "eager").record()
    assert any(value.meta.dtype == torch.float32 for value in tape.values if value.differentiable)
    assert max(largest_errors(tape).values()) <= 16 * torch.finfo(torch.float32).eps


@LEVELS
def test_under_autocast_the_gradients_differ_by_the_rounding_to_bfloat16_and_the_tape_says_where(level):
    subject = OURS["gpt2, train"]()
    subject.target.__self__.float()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        tape = subject.record(level=level)
    types = {value.meta.dtype for value in tape.values if value.differentiable}
    assert types == {torch.float32, torch.bfloat16}
    assert not missing_rules(tape)
    assert max(largest_errors(tape).values()) <= 16 * torch.finfo(torch.bfloat16).eps


def test_a_recurrent_network_in_float32_uses_a_fused_operation_and_is_covered():
    subject = OURS["LSTM"]()
    subject.target.float()
    tape = subject.record()
    assert not missing_rules(tape)
    assert max(largest_errors(tape).values()) <= 64 * torch.finfo(torch.float32).eps


def test_there_are_at_least_eighty_rules():
    assert len({id(rule) for rule in RULES.values()}) >= 80
