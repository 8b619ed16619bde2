"""Every planted fault is found and named; every rule that is bent by a billionth too."""

from dataclasses import replace

import pytest
import torch
from lens.faults import FAULTS, WRONG
from torch import Tensor, nn

from chainrule.config import ModelConfig
from chainrule.lens import Policy, record, verify
from chainrule.lens.engine import differentiable
from chainrule.lens.rules import RULES
from chainrule.model import GPT

SMALL = {"vocab_size": 31, "context_length": 12, "emb_dim": 16, "n_heads": 2, "n_layers": 1, "drop_rate": 0.1}
MODERN = {"norm": "rmsnorm", "position": "rope", "activation": "swiglu", "bias": False, "qk_norm": True}


@pytest.mark.parametrize("name", FAULTS)
def test_a_planted_fault_is_found_and_the_custom_function_named(name):
    model, batch, loss = FAULTS[name]()
    report = verify(model, batch, loss, coordinates=2)
    assert not report.ok
    assert report.place.function == WRONG[name].__name__
    assert report.place.module == ""
    assert report.place.site.file.endswith("faults.py")
    assert report.place.function_site.code.startswith("def backward")
    assert report.suspect in range(len(report.tape.nodes))
    assert WRONG[name].__name__ in report.summary


def test_numbers_take_the_side_of_the_rules():
    model, batch, loss = FAULTS["a term of the product rule is dropped"]()
    report = verify(model, batch, loss, coordinates=8)
    assert report.contradictions
    assert all(check.agrees("rules") and not check.agrees("autograd") for check in report.contradictions)


def test_the_right_branch_is_named_where_two_functions_hand_a_gradient_to_one_tensor():
    class Right(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x * 3

        @staticmethod
        def backward(ctx, g):
            return g * 3

    class Bent(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x * 2

        @staticmethod
        def backward(ctx, g):
            return g * 2.001

    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.linear = nn.Linear(3, 3)

        def forward(self, x):
            h = self.linear(x)
            return (Right.apply(h) * Bent.apply(h) + h.sin() + Right.apply(h.exp())).sum()

    report = verify(Model(), torch.randn(2, 3), coordinates=0)
    assert report.place.function == "Bent"


def test_of_two_faults_the_one_nearer_to_the_loss_comes_first():
    class Bent(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x * 2

        @staticmethod
        def backward(ctx, g):
            return g * 1.9

    first, second = nn.Linear(3, 3), nn.Linear(3, 3)
    report = verify(lambda x: Bent.apply(second(Bent.apply(first(x)))).sum(), torch.randn(2, 3), coordinates=0)
    assert report.place.node == max(node.id for node in report.tape.nodes if node.op == "mul.Tensor")


def bent(rule, factor):
    """The rule with every gradient that much too large."""

    def pullback(call, *gradients):
        found = rule.pullback(call, *gradients)
        return {
            name: one * factor if isinstance(one, Tensor) else [_times(x, factor) for x in one]
            for name, one in found.items()
        }

    return replace(rule, pullback=pullback)


def _times(one, factor):
    return None if one is None else one * factor


@pytest.mark.parametrize(
    "shape", [SMALL, pytest.param({**SMALL, **MODERN}, marks=pytest.mark.slow)], ids=["gpt2", "llama"]
)
def test_every_rule_bent_by_a_billionth_is_found_and_named(shape):
    torch.manual_seed(0)
    model = GPT(ModelConfig(**shape))
    ids = torch.randint(0, 31, (2, 9))
    tape = record(model.loss, ids[:, :-1], ids[:, 1:])
    live = differentiable(tape)
    used = {node.rule_name for node in tape.nodes if live.intersection(node.outputs) and live.intersection(node.inputs)}
    assert len(used) >= 15
    for name in sorted(used):
        rules = {**RULES, name: bent(RULES[name], 1 + 1e-9)}
        report = verify(model.loss, (ids[:, :-1], ids[:, 1:]), policy=Policy(rules), against=("autograd", "rules"))
        assert not report.ok, name
        assert report.tape.nodes[report.suspect].rule_name == name
        assert 1e-10 < report.place.relative < 3e-9
