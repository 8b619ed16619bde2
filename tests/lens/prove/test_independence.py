"""The rules use nothing of autograd: read from what the dispatcher ran during the walk back."""

from contextlib import contextmanager
from dataclasses import replace

import pytest
import torch
from lens.models import OURS
from lens.rules.samples_shape import SAMPLES
from torch.utils._python_dispatch import TorchDispatchMode

from chainrule.lens import Policy, record, reverse
from chainrule.lens.rules import RULES

MODELS = ("gpt2, train", "qwen3, eval", "documents", "convolutional, train", "convolutional, eval", "LSTM", "GRU")


class Log(TorchDispatchMode):
    """The names of all operations, and whether any of them ran with autograd on."""

    def __init__(self):
        super().__init__()
        self.names, self.with_grad = set(), False

    @classmethod
    def _should_skip_dynamo(cls):
        return False  # else torch imports its compiler while autograd is patched

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self.names.add(str(func))
        self.with_grad |= torch.is_grad_enabled()
        return func(*args, **(kwargs or {}))


@contextmanager
def watched(monkeypatch):
    """Fails at any call of autograd inside the block, and at any backward operation when it ends."""

    def refuse(*_, **__):
        raise AssertionError("autograd was called")

    with monkeypatch.context() as patched, Log() as log:
        patched.setattr(torch.autograd, "grad", refuse)
        patched.setattr(torch.autograd, "backward", refuse)
        patched.setattr(torch.Tensor, "backward", refuse)
        patched.setattr(torch.autograd.graph, "_engine_run_backward", refuse)
        patched.setattr(torch.autograd, "_engine_run_backward", refuse)
        patched.setattr(torch.func, "vjp", refuse)
        patched.setattr(torch.func, "jvp", refuse)
        yield log
    assert not log.with_grad
    assert not {name for name in log.names if "backward" in name}


@pytest.mark.parametrize("level", ["op", "core"])
def test_the_walk_back_uses_neither_autograd_nor_its_operations(level, monkeypatch):
    tapes = [OURS[name]().record(level=level) for name in MODELS]
    with watched(monkeypatch) as log:
        for tape in tapes:
            reverse(tape)
    assert len(log.names) > 20


def test_nor_do_the_rules_of_shapes_and_writes(monkeypatch):
    samples = [sample for samples in SAMPLES.values() for sample in samples]
    tapes = [
        record(
            lambda *given, function=function: function(*given), *(t.clone().requires_grad_() for t in given), loss=added
        )
        for function, given in samples
    ]
    with watched(monkeypatch):
        for tape in tapes:
            reverse(tape)


def added(result):
    return sum(one.sum() for one in (result if isinstance(result, list | tuple) else [result]))


def test_the_union_of_these_models_uses_most_of_the_rules_of_a_network():
    used = {node.rule_name for name in MODELS for node in OURS[name]().record().nodes} & set(RULES)
    assert len(used) >= 40


def pullback_by_autograd(call, g):
    with torch.enable_grad():
        x = call["self"].clone().requires_grad_()
        (found,) = torch.autograd.grad(x.sigmoid(), x, g)
    return {"self": found}


@pytest.mark.parametrize(
    ("pullback", "complaint"),
    [
        (lambda call, g: {"self": torch.ops.aten.sigmoid_backward(g, call.out)}, "sigmoid_backward"),
        (pullback_by_autograd, "autograd was called"),
    ],
    ids=["a backward operation", "autograd"],
)
def test_a_rule_that_does_is_caught(pullback, complaint, monkeypatch):
    tape = record(lambda x: x.sigmoid().sum(), torch.ones(3, requires_grad=True))
    rules = {**RULES, "sigmoid": replace(RULES["sigmoid"], pullback=pullback)}
    with pytest.raises(AssertionError, match=complaint), watched(monkeypatch):
        reverse(tape, policy=Policy(rules))
