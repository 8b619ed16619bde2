"""An objective may count less than all: portions then weigh by what counts."""

from dataclasses import dataclass

import numpy as np
import pytest
import torch

from chainrule.config import resolve
from chainrule.data import Windows
from chainrule.device import Precision
from chainrule.model import IGNORED, Batch, WindowsLike
from chainrule.train.objective import ALL, NextToken
from chainrule.train.state import TrainState
from chainrule.train.step import backward


@dataclass(frozen=True)
class Answers:
    """Only targets above a limit count, as only an answer does in fine-tuning."""

    inner: NextToken
    least: int

    def loss(self, batch: Batch) -> torch.Tensor:
        targets = batch.targets.masked_fill(batch.targets < self.least, IGNORED)
        return self.inner.loss(Batch(batch.inputs, targets, batch.documents))

    def counted(self, windows: WindowsLike, rows: slice = ALL) -> int:
        return int((windows.ids[rows, 1:] >= self.least).sum())


@pytest.mark.parametrize("least", [0, 128, 255])
def test_the_gradient_is_that_of_the_mean_over_what_counts_however_it_is_portioned(layers, least):
    config = resolve(layers()).config
    precision = Precision("cpu", "float32")
    model = TrainState.fresh(config, precision).model.double().eval()
    ids = np.random.default_rng(1).integers(0, 256, (5, 17))
    windows = Windows(ids, None)
    objective = Answers(NextToken(model.loss), least)
    whole = torch.from_numpy(ids)
    targets = whole[:, 1:].masked_fill(whole[:, 1:] < least, IGNORED)
    expected = torch.autograd.grad(model.loss(whole[:, :-1], targets), list(model.parameters()))
    for size in (1, 2, 5):
        model.zero_grad()
        loss = backward(objective, windows, size, precision)
        assert loss.item() == pytest.approx(model.loss(whole[:, :-1], targets).item(), rel=1e-5)
        for parameter, right in zip(model.parameters(), expected, strict=True):
            assert torch.allclose(parameter.grad, right, rtol=1e-9, atol=1e-12)
