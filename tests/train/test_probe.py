import numpy as np
import pytest
import torch
from heard import by_word

from chainrule.base import DeviceError
from chainrule.config import Layer, resolve
from chainrule.data import Windows
from chainrule.device import Precision, look_at_machine
from chainrule.model import GPT
from chainrule.model.loss import mean_loss_in_portions
from chainrule.train.probe import likely_micro_batch, probe
from chainrule.train.state import TrainState


@pytest.fixture
def ready(layers):
    config = resolve([*layers(), Layer("f", {"training": {"batch_tokens": 128}, "machine": {"micro_batch": 8}})]).config
    windows = Windows(np.random.default_rng(0).integers(0, 257, (8, 17)), None)
    return TrainState.fresh(config, Precision("cpu", "float32")), config, look_at_machine(config.machine), windows


def test_probing_leaves_no_trace(ready):
    state, config, facts, windows = ready
    before = {name: tensor.clone() for name, tensor in state.model.state_dict().items()}
    probed = probe(state, config, facts, windows, by_word(lambda kind, row: pytest.fail(str(row))))
    assert probed.micro_batch == 8
    assert probed.step_seconds > 0
    assert all(torch.equal(before[name], tensor) for name, tensor in state.model.state_dict().items())
    assert all(parameter.grad is None for parameter in state.model.parameters())
    fresh = TrainState.fresh(config, Precision("cpu", "float32")).optimizer.state()
    after = state.optimizer.state()
    assert after.keys() == fresh.keys()
    assert all(torch.equal(fresh[key], tensor) for key, tensor in after.items())


@pytest.mark.parametrize(
    "fault",
    [
        torch.OutOfMemoryError("CUDA out of memory"),
        MemoryError(),
        RuntimeError("[enforce fail at alloc_cpu.cpp:121] DefaultCPUAllocator: can't allocate memory: you tried"),
    ],
)
def test_a_micro_batch_that_does_not_fit_is_halved_and_said(ready, monkeypatch, fault):
    state, config, facts, windows = ready
    loss = GPT.loss

    def fits_three(self, ids, targets, documents=None):
        if len(ids) > 3:
            raise fault
        return loss(self, ids, targets, documents)

    monkeypatch.setattr(GPT, "loss", fits_three)
    said = []
    assert probe(state, config, facts, windows, by_word(lambda kind, row: said.append(row["message"]))).micro_batch == 2
    assert len(said) == 2
    assert "8 windows does not fit" in said[0]
    assert "stays 128 tokens" in said[0]


def test_when_not_even_one_window_fits_the_error_says_what_to_lower(ready, monkeypatch):
    def never(self, ids, targets, documents=None):
        raise MemoryError

    monkeypatch.setattr(GPT, "loss", never)
    with pytest.raises(DeviceError, match=r"one window of 16 tokens does not fit .* lower model\.context_length"):
        probe(*ready, by_word(lambda kind, row: None))


def test_a_compiler_that_fails_is_done_without_and_said_in_one_line(ready, monkeypatch):
    state, config, facts, windows = ready
    config = config.model_copy(update={"machine": config.machine.model_copy(update={"compile": "on"})})

    def broken(function, backend):
        def fail(*arguments):
            raise RuntimeError("no C++ compiler\nand many more lines")

        return fail

    monkeypatch.setattr(torch, "compile", broken)
    said = []
    probed = probe(state, config, facts, windows, by_word(lambda kind, row: said.append(row["message"])))
    assert not probed.compiled and state.model.loss_in_portions is mean_loss_in_portions
    assert said == ["torch.compile failed, training goes on without it: RuntimeError: no C++ compiler"]


def test_another_error_is_not_swallowed(ready, monkeypatch):
    def wrong(self, ids, targets, documents=None):
        raise RuntimeError("a real mistake")

    monkeypatch.setattr(GPT, "loss", wrong)
    with pytest.raises(RuntimeError, match="a real mistake"):
        probe(*ready, by_word(lambda kind, row: None))


def test_the_likely_micro_batch_divides_the_batch(ready):
    _, config, facts, _ = ready
    for batch_tokens in (16, 48, 112, 4096 * 3):
        training = config.training.model_copy(update={"batch_tokens": batch_tokens})
        changed = config.model_copy(update={"training": training})
        assert changed.batch_windows % likely_micro_batch(changed, facts) == 0
