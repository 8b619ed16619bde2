import copy
import gc
from dataclasses import dataclass
from functools import partial

import pytest
import torch
from lens.agreement import curved, largest_errors, recorded
from lens.models import OURS
from lens.rules.numbers import normal
from torch import nn
from torch.nn.modules import module as torch_module

from chainrule.base import DeviceError, LensError
from chainrule.lens import record, reverse

X, ROW = normal(3, 4), normal(4, seed=1)
AROUND = {"scale": ROW.clone().requires_grad_()}
GLOBAL = nn.Sequential(nn.Linear(4, 4), nn.Tanh()).double()


class Shared(nn.Module):
    """Two names for one weight, one module called twice, a buffer, a tuple of results."""

    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Linear(4, 4), nn.Linear(4, 4)
        self.second.weight = self.first.weight
        self.register_buffer("shift", torch.ones(4))
        self.double()

    def forward(self, x, level=2):
        once = self.first(x) + self.shift
        return self.first(self.second(once)) * level, once


@dataclass
class Batch:
    x: torch.Tensor
    more: list


def leaves(tape):
    return [leaf.name for leaf in tape.leaves()]


def test_parameters_and_inputs_go_by_their_names_and_tied_ones_by_both():
    tape = record(Shared(), X.clone().requires_grad_(), loss=lambda y: y[0].sum())
    assert leaves(tape) == ["first.weight", "first.bias", "second.bias", "x"]
    assert tape.tied == {"second.weight": "first.weight"}
    assert tape.named("second.weight") is tape.named("first.weight")
    assert tape.named("shift").role == "buffer"
    assert len(tape.outputs) == 3
    assert max(largest_errors(tape).values()) <= 1e-14


def test_a_module_that_is_called_twice_is_told_apart_by_its_calls():
    tape = record(Shared(), X, loss=lambda y: y[0].sum())
    calls = {(node.module, node.call) for node in tape.nodes if node.rule_name == "addmm"}
    assert calls == {("first", 0), ("second", 0), ("first", 1)}
    assert tape.modules["first"] == "Linear"


def test_every_operation_knows_the_line_that_asked_for_it():
    tape = record(Shared(), X, loss=lambda y: y[0].sum())
    site = next(node.site for node in tape.nodes if node.rule_name == "mul")
    assert site.file.endswith("test_record.py")
    assert (site.function, site.code) == ("forward", "return self.first(self.second(once)) * level, once")


def test_values_are_the_programs_own_tensors():
    x = X.clone().requires_grad_()
    held = []

    def program(x):
        held.extend([x * 2, x.exp()])
        return (held[0] * held[1]).sum()

    tape = record(program, x)
    assert tape.named("x").tensor is x
    assert tape.named("mul").tensor is held[0]
    assert tape.named("exp").tensor is held[1]
    assert tape.values[tape.loss].requires_grad


def attribute_of_an_object():
    class Trainer:
        def __init__(self):
            self.net, self.scale = copy.deepcopy(GLOBAL), AROUND["scale"]

        def step(self, x):
            return (self.net(x) * self.scale).sum()

        def __call__(self, x):
            return self.step(x)

    return Trainer()


def from_the_surroundings(x):
    return (GLOBAL(x) * AROUND["scale"]).sum()


def made_inside(x):
    torch.manual_seed(0)
    return sum(nn.Linear(4, 1).double()(x).sum() for _ in range(2))


NETWORK = ["0.weight", "0.bias"]


@pytest.mark.parametrize(
    ("target", "names"),
    [
        (from_the_surroundings, ["x", "AROUND['scale']", *(f"GLOBAL.{name}" for name in NETWORK)]),
        (attribute_of_an_object().step, ["x", *(f"net.{name}" for name in NETWORK), "scale"]),
        (attribute_of_an_object(), ["x", *(f"net.{name}" for name in NETWORK), "scale"]),
        (made_inside, ["x", "Linear.weight", "Linear.bias", "Linear_1.weight", "Linear_1.bias"]),
        (partial(lambda w, x: (w * x).sum(), AROUND["scale"]), ["w", "x"]),
        (torch.sum, ["input0"]),
    ],
    ids=["globals", "method", "callable", "made inside", "partial", "built in"],
)
def test_what_a_function_finds_around_it_goes_by_its_name_there(target, names):
    tape = record(target, X.clone().requires_grad_())
    assert sorted(leaves(tape)) == sorted(names)
    assert max(largest_errors(tape).values()) <= 1e-14


def test_modules_of_a_function_go_by_the_name_of_the_variable():
    tape = record(from_the_surroundings, X)
    assert {node.module for node in tape.nodes} == {"", "GLOBAL.0", "GLOBAL.1"}


def test_tensors_in_nested_arguments_go_by_their_place():
    one, two, three = (X.clone().requires_grad_() for _ in range(3))
    tape = record(
        lambda batch, state, **named: (batch.x * batch.more[0] * state["h"][1]).sum() * named["scale"],
        *(Batch(one, [two]), {"h": (None, three)}),
        scale=2.0,
    )
    assert leaves(tape) == ["batch.x", "batch.more[0]", "state['h'][1]"]


def test_an_argument_of_the_model_that_is_called_as_ours_is_refused_with_the_way_round():
    model = Shared()
    with pytest.raises(LensError, match=r"level=3 is not one of op, core.*record\(lambda"):
        record(model, X, level=3)
    with pytest.raises(LensError, match="keep='some'"):
        record(model, X, keep="some")
    with pytest.raises(LensError, match="not Tensor"):
        record(model, X, loss=X)
    tape = record(lambda: model(X, level=3)[0].sum())
    assert leaves(tape) == ["model.first.weight", "model.first.bias", "model.second.bias"]
    assert record(lambda target: target.sum(), target=X).loss is not None


def test_a_loss_is_found_where_models_put_it():
    assert record(lambda: {"loss": X.sum(), "logits": X}).loss is not None
    assert record(lambda: (X, X)).loss is None


def test_a_recording_that_fails_leaves_no_hooks_behind():
    def broken(x):
        GLOBAL(x)
        raise KeyError("inside")

    before = (len(torch_module._global_forward_hooks), len(torch_module._global_forward_pre_hooks))
    with pytest.raises(KeyError, match="inside"):
        record(broken, X)
    assert (len(torch_module._global_forward_hooks), len(torch_module._global_forward_pre_hooks)) == before


def test_a_module_that_fails_and_is_caught_does_not_confuse_the_names():
    class Careful(nn.Module):
        def __init__(self):
            super().__init__()
            self.narrow, self.wide = nn.Linear(3, 3), nn.Linear(4, 3)

        def forward(self, x):
            try:
                return self.narrow(x)
            except RuntimeError:
                return self.wide(x).sum()

    tape = record(Careful(), X.float())
    assert tape.nodes[-1].module == ""
    assert "wide" in {node.module for node in tape.nodes}


def test_a_device_that_is_not_here_is_named():
    with pytest.raises(DeviceError, match=r"<lambda> asks for a device that is not here.*on the CPU"):
        record(lambda: torch.ones(2, device="cuda"))
    with pytest.raises(RuntimeError, match="jumps"):
        record(lambda: (_ for _ in ()).throw(RuntimeError("it jumps")))


def test_a_sparse_tensor_is_refused_with_the_remedy():
    with pytest.raises(LensError, match=r"to_dense"):
        record(lambda x: (x @ ROW).sum(), X.to_sparse())


def test_compiled_modules_and_functions_are_recorded_as_they_were_written():
    model = Shared()
    names = [node.op for node in record(model, X, loss=lambda y: y[0].sum()).nodes]
    compiled = torch.compile(model, backend="eager")
    assert [node.op for node in record(compiled, X, loss=lambda y: y[0].sum()).nodes] == names
    assert record(compiled, X).target == "Shared"
    part = torch.compile(lambda x: torch.sigmoid(x) * 2, backend="eager")
    names = [node.rule_name for node in record(lambda x: part(x).sum(), X).nodes]
    assert names == ["sigmoid", "mul", "sum"]


def test_a_weight_that_autocast_converted_before_the_recording_is_converted_again():
    model = nn.Linear(4, 4)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        model(X.float())
        tape = record(model, X.float(), loss=lambda y: y.float().sum())
    assert leaves(tape) == ["weight", "bias"]
    assert len(reverse(tape)) == 2


def test_random_masks_are_those_of_the_run():
    tape = recorded(lambda x: nn.functional.dropout(x, 0.5), X)
    mask = tape.named("div").tensor
    assert set(mask.unique().tolist()) <= {0.0, 2.0}
    assert largest_errors(tape)["x"] == 0


@pytest.mark.parametrize("name", ["gpt2, train", "convolutional, train", "LSTM"])
def test_core_level_has_no_composite_and_no_fused_operation(name):
    tape = OURS[name]().record(level="core")
    names = {node.rule_name for node in tape.nodes}
    assert not names & {
        "linear",
        "reshape",
        "contiguous",
        "to",
        "matmul",
        "nll_loss_forward",
        "t",
        "transpose",
        "prims",
    }
    assert not {name for name in names if "flash" in name or "lstm" in name}


def test_both_levels_compute_the_same_loss():
    tapes = [OURS["llama, eval"]().record(level=level) for level in ("op", "core")]
    losses = [tape.values[tape.loss].tensor.item() for tape in tapes]
    assert losses[0] == pytest.approx(losses[1], rel=1e-14)


@pytest.mark.parametrize("keep", ["all", "stats", "boundary"])
def test_the_graph_is_the_same_however_much_is_kept(keep):
    """Ids of dead tensors are given to new ones: with nothing kept alive, nothing may be mistaken for another."""
    subject = OURS["qwen3, eval"]()
    whole, tape = subject.record(), subject.record(keep=keep)
    gc.collect()
    assert [(node.op, node.inputs, node.outputs, node.module) for node in tape.nodes] == [
        (node.op, node.inputs, node.outputs, node.module) for node in whole.nodes
    ]
    assert [(value.name, value.meta.shape, value.view_of) for value in tape.values] == [
        (value.name, value.meta.shape, value.view_of) for value in whole.values
    ]


def test_statistics_are_of_each_value_and_boundaries_are_what_modules_hand_on():
    model = Shared()
    tape = record(model, X, keep="stats")
    assert all(value.stats is not None for value in tape.values)
    assert [value.role for value in tape.values if value.tensor is not None].count("result") == 0
    kept = [value for value in record(model, X, keep="boundary").values if value.tensor is not None]
    results = [value.name for value in kept if value.role == "result"]
    assert results == ["addmm", "add", "addmm_1", "addmm_2", "mul"]


def test_a_detach_that_the_program_reads_stays_and_those_of_autograd_go():
    tape = record(lambda x: (x.exp() * x.exp().detach()).sum(), X.clone().requires_grad_())
    assert [node.rule_name for node in tape.nodes] == ["exp", "exp", "detach", "mul", "sum"]
    assert [node.id for node in tape.nodes] == list(range(len(tape.nodes)))
    assert [value.id for value in tape.values] == list(range(len(tape.values)))


def test_a_loss_function_is_part_of_the_tape():
    tape = record(GLOBAL, X, loss=curved)
    assert tape.nodes[-1].op == "sum.default"
    assert not tape.values[tape.loss].meta.shape
