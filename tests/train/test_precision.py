"""All products of a training step are made in the run's number format, those of the optimizer too."""

import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from chainrule.config import Config, Layer, preset, resolve
from chainrule.data import Windows
from chainrule.device import Precision
from chainrule.train.objective import NextToken
from chainrule.train.state import TrainState
from chainrule.train.step import StepSettings, train_step

SHAPE = {"vocab_size": 32, "context_length": 8, "emb_dim": 16, "n_heads": 2, "n_layers": 2}
PRODUCTS = ("mm", "bmm", "addmm", "baddbmm", "addmm_", "baddbmm_")


class Log(TorchDispatchMode):
    """Operations and the number formats that they read and wrote."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: set[tuple[str, torch.dtype]] = set()

    def __torch_dispatch__(self, function, types, arguments=(), keywords=None):
        result = function(*arguments, **(keywords or {}))
        tensors = [one for one in torch.utils._pytree.tree_leaves((arguments, result)) if isinstance(one, torch.Tensor)]
        self.seen |= {(function.overloadpacket.__name__, tensor.dtype) for tensor in tensors}
        return result


def logged_step(kind: str, precision: str) -> tuple[set[tuple[str, torch.dtype]], set[tuple[str, torch.dtype]]]:
    """The log of a whole step, and that of the optimizer's part of another."""
    config: Config = resolve([preset("cpu-tiny"), Layer("t", {"model": SHAPE, "optimizer": {"kind": kind}})]).config
    used = Precision("cpu", precision)
    state = TrainState.fresh(config, used)
    windows = Windows(np.random.default_rng(0).integers(0, 32, (4, 9)), None)
    with Log() as whole:
        how = StepSettings(factor=1.0, micro_batch=2, grad_clip=1.0, precision=used)
        train_step(state.model, state.optimizer, NextToken(state.model.loss), windows, how)
    for parameter in state.model.parameters():
        parameter.grad = torch.randn_like(parameter)
    with Log() as update:
        state.optimizer.step(1.0)
    return whole.seen, update.seen


@pytest.mark.parametrize("kind", ["adamw", "muon"])
def test_no_operation_of_a_float32_step_sees_bfloat16(kind):
    whole, update = logged_step(kind, "float32")
    assert {dtype for _, dtype in whole if dtype.is_floating_point} == {torch.float32}
    assert len(update) > 1


def test_in_bfloat16_the_products_of_the_optimizer_are_in_it_too():
    _, update = logged_step("muon", "bfloat16")
    assert {dtype for name, dtype in update if name in PRODUCTS} == {torch.bfloat16}
