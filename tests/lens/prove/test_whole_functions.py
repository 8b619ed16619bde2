import numpy as np
import torch
from torch import nn

from chainrule.lens import record, verify
from chainrule.lens.prove import proof_facts


class Both(torch.autograd.Function):
    """Two results by NumPy, the context set up apart; `factor` bends the gradient of the second."""

    factor = 1.0

    @staticmethod
    def forward(x, y):
        a, b = x.detach().numpy(), y.detach().numpy()
        return torch.from_numpy(a * b), torch.from_numpy(np.sin(a))

    @staticmethod
    def setup_context(ctx, inputs, output):
        ctx.save_for_backward(*inputs)

    @staticmethod
    def backward(ctx, g, h):
        x, y = ctx.saved_tensors
        return g * y + Both.factor * h * x.cos(), g * x


def program(x):
    first, second = Both.apply(LAYER(x), OTHER(x))
    return first.sin().sum() + second.square().sum()


LAYER, OTHER = nn.Linear(4, 4), nn.Linear(4, 4)


def test_a_function_of_several_tensors_outside_torch_is_judged_at_itself(monkeypatch):
    x = torch.randn(5, 4)
    report = verify(program, x, coordinates=20)
    assert report.ok, report.summary
    assert not report.not_independent
    assert not report.cuts
    monkeypatch.setattr(Both, "factor", 1.0001)
    report = verify(program, x, coordinates=4)
    assert report.verdict == "wrong"
    assert report.place.function == "Both"
    assert report.place.function_site.code.startswith("def backward")
    assert not proof_facts(report)["changes"][0]["allowed"]


def test_it_stands_on_the_tape_as_one_operation_and_others_are_looked_into():
    tape = record(program, torch.randn(5, 4))
    whole = [node for node in tape.nodes if node.op == "custom_function.Both"]
    assert len(whole) == 1
    assert len(whole[0].outputs) == 2
    assert "Both.apply" in whole[0].site.code
    assert "numpy" not in {node.op for node in tape.nodes}


def test_a_function_whose_results_jump_is_named():
    class Steps(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return torch.from_numpy(np.sign(x.detach().numpy()))

        @staticmethod
        def backward(ctx, g):
            return g

    report = verify(lambda x: Steps.apply(LAYER(x)).sin().sum(), torch.randn(5, 4), coordinates=2)
    assert report.verdict != "proved"
    assert "Steps" in report.summary
