import json
import math
import random
from functools import partial

import pytest
import torch
from torch import nn

from chainrule.base import DeviceError, LensError
from chainrule.config import ModelConfig
from chainrule.lens import Policy, Subject, network, neuron, verify
from chainrule.lens.prove import proof_facts, proof_lines
from chainrule.lens.rules import RULES
from chainrule.lens.tape import in_float64
from chainrule.model import GPT

SMALL = {"vocab_size": 31, "context_length": 12, "emb_dim": 16, "n_heads": 2, "n_layers": 1, "drop_rate": 0.1}
MODERN = {"norm": "rmsnorm", "position": "rope", "activation": "swiglu", "bias": False}
SHAPES = {
    "gpt2": SMALL,
    "untied": {**SMALL, "qkv_bias": True, "tied_embeddings": False},
    "llama": {**SMALL, **MODERN},
    "qwen3": {**SMALL, **MODERN, "qk_norm": True, "n_kv_heads": 1, "head_dim": 8},
}


def small_gpt(**changes):
    torch.manual_seed(0)
    return GPT(ModelConfig(**{**SMALL, **changes}))


def windows():
    ids = torch.randint(0, 31, (2, 9), generator=torch.Generator().manual_seed(1))
    return ids[:, :-1], ids[:, 1:]


def square(out):
    return out.square().mean()


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_three_ways_give_one_answer_on_our_models(shape):
    model = small_gpt(**shape).train("norm" not in shape)
    report = verify(model.loss, windows(), coordinates=6)
    assert report.ok, report.summary
    assert report.worst_parameter.error <= 1e-13
    assert report.worst_node <= 1e-12
    assert all(check.error("rules") <= 1e-8 for check in report.numbers.checks)
    assert len(report.numbers.coordinates) == 6
    assert not report.segments
    assert not report.not_independent
    assert all(one.reason == "float64 everywhere" for one in report.parameters)
    assert len(report.parameters) == len(list(model.parameters()))


@pytest.mark.parametrize("subject", [neuron(), network()], ids=["neuron", "network"])
def test_the_classics_are_proved(subject):
    report = verify(subject)
    assert report.ok, report.summary
    assert report.worst_parameter.error <= 1e-15


def test_the_same_call_gives_the_same_report():
    model = small_gpt()
    one, other = (proof_facts(verify(model.loss, windows(), coordinates=3)) for _ in range(2))
    assert {**one, "seconds": 0} == {**other, "seconds": 0}


def test_the_model_and_the_random_numbers_of_the_caller_stay_as_they_are():
    model = small_gpt().train()
    model.loss(*windows()).backward()
    before = {name: weight.detach().clone() for name, weight in model.named_parameters()}
    gradients = {name: weight.grad.clone() for name, weight in model.named_parameters()}
    state, python = torch.get_rng_state(), random.getstate()
    verify(model.loss, windows(), coordinates=3)
    assert torch.equal(torch.get_rng_state(), state)
    assert random.getstate() == python
    for name, weight in model.named_parameters():
        assert weight.dtype == torch.float32
        assert torch.equal(weight, before[name])
        assert torch.equal(weight.grad, gradients[name])


def test_running_statistics_stay_as_they_are():
    model = nn.Sequential(nn.Linear(4, 6), nn.BatchNorm1d(6), nn.Linear(6, 1))
    report = verify(model, torch.randn(8, 4), square, coordinates=10)
    assert report.ok, report.summary
    assert model[1].num_batches_tracked == 0
    assert torch.equal(model[1].running_mean, torch.zeros(6))


def test_a_gradient_that_is_nothing_but_rounding_is_no_error():
    """The bias before batch norm has the gradient zero; each way rounds to another number near it."""
    model = nn.Sequential(nn.Linear(4, 6), nn.BatchNorm1d(6), nn.Tanh(), nn.Linear(6, 1))
    report = verify(model, torch.randn(8, 4), square, coordinates=4)
    bias = next(one for one in report.parameters if one.name == "0.bias")
    assert bias.difference.size < 1e-15
    assert bias.tolerance.limit > 0.1
    assert report.ok


def test_functions_over_modules_and_tensors_around_them_are_copied_with_these():
    layer, scale, parts = nn.Linear(3, 2), torch.tensor(2.5), [nn.Linear(2, 2)]

    def program(x):
        return square(parts[0](layer(x) * scale))

    report = verify(program, torch.randn(4, 3), coordinates=4)
    assert report.ok, report.summary
    assert {one.name for one in report.parameters} >= {"layer.weight", "layer.bias"}
    assert len(report.parameters) == 4
    assert layer.weight.dtype == scale.dtype == torch.float32


def test_batches_come_as_one_as_a_tuple_as_named_ones_and_as_a_subject():
    model = small_gpt(drop_rate=0.0)
    ids, targets = windows()
    found = [
        verify(model.loss, (ids, targets), coordinates=0),
        verify(model.loss, {"ids": ids, "targets": targets}, coordinates=0),
        verify(Subject("one", model.loss, (ids, targets)), coordinates=0),
        verify(partial(model.loss, targets=targets), ids, coordinates=0),
    ]
    assert len({report.loss for report in found}) == 1
    assert all(report.ok for report in found)


def test_a_frozen_and_an_unused_weight_are_no_trouble():
    model = nn.ModuleDict({"used": nn.Linear(3, 1), "frozen": nn.Linear(3, 3), "unused": nn.Linear(2, 2)})
    model["frozen"].requires_grad_(False)
    report = verify(lambda x: square(model["used"](model["frozen"](x))), torch.randn(2, 3), coordinates=30)
    assert report.ok, report.summary
    assert len(report.parameters) == 4
    assert "there are only 10 weights" in report.numbers.why


def test_without_time_for_all_coordinates_the_report_says_how_many_were_done():
    report = verify(small_gpt().loss, windows(), coordinates=400, seconds=0.05)
    assert len(report.numbers.coordinates) < 400
    assert all(one.agrees("rules") for one in report.numbers.directions)
    assert "seconds" in report.numbers.why
    assert report.n_samples >= 3
    assert report.ok
    assert any("of 400 weights" in line for line in proof_lines(report))


def test_two_of_the_three_ways_can_be_asked_for():
    model = small_gpt()
    assert verify(model.loss, windows(), against=("rules", "autograd")).numbers is None
    numbers = verify(model.loss, windows(), against=("autograd", "numbers"), coordinates=3)
    assert numbers.ok
    assert all(check.rules is None for check in numbers.numbers.checks)
    rules = verify(model.loss, windows(), against=("rules", "numbers"), coordinates=3)
    assert rules.ok
    assert all(check.autograd is None for check in rules.numbers.checks)
    with pytest.raises(LensError, match="two or three of autograd, rules, numbers"):
        verify(model.loss, windows(), against=("rules",))
    with pytest.raises(LensError, match="magic"):
        verify(model.loss, windows(), against=("rules", "magic"))


def test_the_level_of_core_operations_gives_the_same_verdict():
    report = verify(small_gpt().loss, windows(), coordinates=2, level="core")
    assert report.ok, report.summary
    assert len(report.tape.nodes) > len(verify(small_gpt().loss, windows(), coordinates=0).tape.nodes)


def test_float32_inside_a_float64_model_is_named_and_widens_the_limits():
    class Casting(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.last = nn.Linear(4, 4), nn.Linear(4, 1)

        def forward(self, x):
            h = self.first(x).float().tanh()
            return self.last(h.to(self.last.weight.dtype)).square().mean()

    report = verify(Casting(), torch.randn(5, 4), coordinates=6)
    assert report.ok, report.summary
    by_name = {one.name: one for one in report.parameters}
    assert "float32" in by_name["first.weight"].reason
    assert "test_verify.py" in by_name["first.weight"].reason
    assert by_name["last.weight"].reason == "float64 everywhere"
    assert by_name["first.weight"].tolerance.limit > 1e-8
    assert by_name["last.weight"].tolerance.limit < 1e-12
    assert len(report.segments) == 1
    assert str(report.segments[0].dtype) == "torch.float32"


def test_an_operation_without_a_rule_is_an_error_or_on_request_not_independent():
    layer = nn.Linear(3, 3)
    rules = {name: rule for name, rule in RULES.items() if name != "tanh"}
    with pytest.raises(LensError, match=r"no rule for tanh.*test_verify\.py"):
        verify(lambda x: layer(x).tanh().sum(), torch.randn(2, 3), policy=Policy(rules))
    report = verify(
        lambda x: layer(x).tanh().sum(), torch.randn(2, 3), policy=Policy(rules, fallback=True), coordinates=3
    )
    assert report.ok
    assert report.not_independent == ("tanh.default",)
    assert any("Not independent" in line for line in proof_lines(report))


def test_what_cannot_be_verified_is_said():
    layer = nn.Linear(3, 3)
    with pytest.raises(LensError, match=r"returned \[2, 3\].*scalar loss"):
        verify(layer, torch.randn(2, 3))
    with pytest.raises(LensError, match="no parameters"):
        verify(lambda x: x.sum(), torch.randn(2, 3))
    with pytest.raises(LensError, match="one of the two"):
        verify()
    with pytest.raises(LensError, match="does not depend on any parameter"):
        verify(lambda x: layer(x).detach().sum(), torch.randn(2, 3))
    with pytest.raises(LensError, match="float64"):
        scale, zero = torch.tensor([0.1]), torch.tensor([0.0])
        quantised = torch._fake_quantize_learnable_per_tensor_affine
        verify(lambda x: quantised(layer(x), scale, zero, 0, 255).sum(), torch.randn(2, 3))
    with pytest.raises(LensError, match="coordinates=-1"):
        verify(layer, torch.randn(2, 3), square, coordinates=-1)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_model_that_needs_a_gpu_is_told_apart():
    layer = nn.Linear(3, 3)
    with pytest.raises(DeviceError, match="device that is not here"):
        verify(lambda x: layer(x).cuda().sum(), torch.randn(2, 3))


def test_a_model_that_differs_from_run_to_run_is_named_with_its_line():
    calls, layer = [], nn.Linear(3, 3)

    def program(x):
        calls.append(0)
        return (layer(x) + len(calls)).square().sum()

    with pytest.raises(LensError, match=r"first in add.*test_verify\.py.*no counters"):
        verify(program, torch.randn(2, 3))


def test_writes_to_parts_of_a_tensor_are_no_false_alarm_and_a_fault_behind_them_is_named():
    class Bent(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x * 2

        @staticmethod
        def backward(ctx, g):
            return g * 2.1

    layer = nn.Linear(4, 4)

    def program(x, twice):
        y = layer(x)
        y[:, 0] = twice(y[:, 1].clone())
        y[1].mul_(3.0)
        rows = y.view(2, 2, 4)
        rows[0].add_(layer.bias)
        return (y * y.sin()).sum() + rows.exp().mean()

    x = torch.randn(4, 4)
    assert verify(lambda x: program(x, lambda one: one * 2), x, coordinates=10).ok
    report = verify(lambda x: program(x, Bent.apply), x, coordinates=10)
    assert report.place.function == "Bent"


def test_dropout_does_not_make_a_model_differ_from_run_to_run():
    model = nn.Sequential(nn.Linear(4, 16), nn.Dropout(0.5), nn.Linear(16, 1))
    assert verify(model, torch.randn(3, 4), square, coordinates=5).ok


def test_a_report_is_json_and_fits_a_hundred_columns():
    for report in (verify(small_gpt().loss, windows(), coordinates=2), verify(network(), coordinates=2)):
        content = json.loads(json.dumps(proof_facts(report)))
        assert content["ok"] is True
        assert len(content["nodes"]) == len(report.node_errors)
        assert all(math.isfinite(one["error"]) for one in content["parameters"])
        lines = proof_lines(report)
        assert max(map(len, lines)) <= 100
        assert any(line.startswith("✓") and "proved" in line for line in lines)


def test_the_numbers_of_nodes_are_those_of_a_recording():
    model = small_gpt(drop_rate=0.0)
    report = verify(model.loss, windows(), coordinates=0)
    tape = in_float64(Subject("gpt", model.loss, windows())).record()
    assert [node.op for node in report.tape.nodes] == [node.op for node in tape.nodes]
    assert set(report.node_errors) == set(report.tolerance_of) <= {node.id for node in tape.nodes}


def test_raise_for_errors_is_silent_when_all_agree():
    verify(network(), coordinates=1).raise_for_errors()
