"""One update: clipping with nothing to do does nothing, and otherwise scales to the bit; a step's random numbers."""

import copy

import numpy as np
import pytest
import torch
from casts import Casts

from chainrule.config import Layer, resolve
from chainrule.data import Windows
from chainrule.device import Precision
from chainrule.model import GPT, micro_batches
from chainrule.optim import Optimizer
from chainrule.train import StepSettings, seed_step, train_step
from chainrule.train.objective import NextToken
from chainrule.train.step import backward, gradient_norms

SHAPE = {"vocab_size": 31, "context_length": 8, "emb_dim": 16, "n_heads": 2, "n_layers": 2, "drop_rate": 0.0}


@pytest.fixture
def begun():
    config = resolve([Layer("tiny", {"model": SHAPE, "optimizer": {"kind": "adamw"}})]).config
    torch.manual_seed(0)
    windows = Windows(np.random.default_rng(0).integers(0, 31, (4, 9)), None)
    return config, GPT(config.model), windows


def moved(begun, grad_clip: float) -> tuple[float, list[torch.Tensor]]:
    """The norm before clipping and the weights after one update by the step of a run."""
    config, model, windows = copy.deepcopy(begun[0]), copy.deepcopy(begun[1]), begun[2]
    settings = StepSettings(1.0, 4, grad_clip, Precision("cpu", "float32"))
    result = train_step(model, Optimizer(model, config), NextToken(model.loss), windows, settings)
    return result.grad_norm, list(model.parameters())


def moved_by_hand(begun, grad_clip: float) -> list[torch.Tensor]:
    """The same by the formula, its factor a tensor that never leaves the device."""
    config, model, windows = begun[0], copy.deepcopy(begun[1]), torch.from_numpy(begun[2].ids)
    optimizer = Optimizer(model, config)
    model.loss(windows[:, :-1], windows[:, 1:]).backward()
    factor = (grad_clip / (torch.linalg.vector_norm(gradient_norms(model)) + 1e-6)).clamp(max=1.0)
    for parameter in model.parameters():
        parameter.grad.mul_(factor)
    optimizer.step(1.0)
    return list(model.parameters())


def equal(some: list[torch.Tensor], others: list[torch.Tensor]) -> bool:
    return all(torch.equal(one, other) for one, other in zip(some, others, strict=True))


@pytest.mark.parametrize("share", [0.001, 0.3, 0.999])
def test_a_clipped_step_has_the_bits_of_the_formula(begun, share):
    norm, _ = moved(begun, 0.0)
    _, weights = moved(begun, share * norm)
    assert equal(weights, moved_by_hand(begun, share * norm))


def test_a_gradient_within_the_limit_is_not_scaled(begun):
    norm, weights = moved(begun, 0.0)
    assert equal(moved(begun, 2 * norm)[1], weights)
    # AdamW hardly sees the size of a gradient at its first step, so that limits below are told apart by the last bits.
    assert not equal(moved(begun, 1e-6 * norm)[1], weights)


def test_a_step_draws_what_the_seed_of_torch_draws_and_every_step_anew():
    def drawn() -> torch.Tensor:
        return torch.nn.functional.dropout(torch.ones(64), 0.5)

    seed_step(3, 5)
    ours = drawn()
    torch.manual_seed(3 * 0x9E3779B97F4A7C15 + 5 * 0xBF58476D1CE4E5B9 & 0x7FFFFFFFFFFFFFFF)
    assert torch.equal(ours, drawn())
    seed_step(3, 6)
    assert not torch.equal(ours, drawn())


def read_by(function) -> list[str]:
    """What is asked of tensors meanwhile that a GPU would be waited for."""
    heard, waits = [], ("item", "tolist", "cpu", "numpy", "__bool__", "__float__", "__int__", "__index__")
    with pytest.MonkeyPatch.context() as patched:
        for name in waits:
            plain = getattr(torch.Tensor, name)
            patched.setattr(
                torch.Tensor, name, lambda *given, plain=plain, name=name: heard.append(name) or plain(*given)
            )
        function()
    return heard


@pytest.mark.parametrize("kind", ["adamw", "muon"])
def test_a_step_waits_for_its_device_once(begun, kind):
    """Before anything moves: whether loss and gradient are finite and usual decides that they may."""
    config = resolve([Layer("tiny", {"model": SHAPE, "optimizer": {"kind": kind}})]).config
    model, windows = begun[1], begun[2]
    optimizer, settings = Optimizer(model, config), StepSettings(1.0, 2, 1.0, Precision("cpu", "float32"))
    assert read_by(lambda: train_step(model, optimizer, NextToken(model.loss), windows, settings)) == ["tolist"]


def test_gradients_and_their_norms_are_made_without_a_look_at_the_device(begun):
    """Where there are no numbers that could be looked at."""
    config, windows = begun[0], begun[2]
    model = GPT(config.model).to("meta")
    loss = backward(NextToken(model.loss), windows, 2, Precision("meta", "float32"))
    assert loss.is_meta and gradient_norms(model).shape == (len(list(model.parameters())),)
    with pytest.raises(RuntimeError, match="meta"):
        loss.item()


@pytest.mark.parametrize("checkpointing", [False, True])
def test_a_weight_is_cast_once_a_step_however_many_micro_batches_there_are(begun, checkpointing):
    model, windows = begun[1], begun[2]
    model.checkpointing = checkpointing
    with Casts(model) as casts:
        backward(NextToken(model.loss), windows, 1, Precision("cpu", "bfloat16"))
    products = {name for name, one in model.named_parameters() if one.dim() > 1 and "position" not in name}
    assert products <= set(casts.counts) and all(casts.counts[name] == 1 for name in products)


@pytest.mark.parametrize("checkpointing", [False, True])
def test_weights_that_are_cast_once_have_the_loss_and_gradients_of_those_cast_each_time(begun, checkpointing):
    """To the bit, beside the same micro-batches in autocast contexts of their own."""
    precision, found = Precision("cpu", "bfloat16"), []
    for once in (True, False):
        model, windows = copy.deepcopy(begun[1]).train(), begun[2]
        model.checkpointing = checkpointing
        objective = NextToken(model.loss)
        if once:
            loss = backward(objective, windows, 1, precision)
        else:
            loss = torch.zeros(())
            for batch in micro_batches(windows, 1):
                with precision.autocast():
                    share = objective.loss(batch)
                share = share / len(windows.ids)
                share.backward()
                loss += share.detach()
        found.append([loss, *(one.grad for one in model.parameters())])
    assert equal(*found)
