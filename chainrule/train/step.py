"""One update of the weights: micro-batches in, gradients summed, and moved only when every number is finite."""

import math
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor

from chainrule.data import Windows
from chainrule.health import parameter_norms
from chainrule.model import GPT
from chainrule.optim import Optimizer

LossFunction = Callable[[Tensor, Tensor, Tensor | None], Tensor]


@dataclass(frozen=True)
class Precision:
    """Where and in which number format a model computes."""

    device: str
    name: str

    @property
    def dtype(self) -> torch.dtype | None:
        """The type of matrix products when it is not that of the weights."""
        return torch.bfloat16 if self.name == "bfloat16" else None

    def autocast(self) -> AbstractContextManager[object]:
        """A context in which matrix products are made in this format; weights stay float32."""
        return nullcontext() if self.dtype is None else torch.autocast(self.device, dtype=self.dtype)


@dataclass(frozen=True)
class StepResult:
    """Mean loss in nats per token, norm of the whole gradient before clipping, and whether the weights moved."""

    loss: float
    grad_norm: float
    applied: bool


@runtime_checkable
class StepWatcher(Protocol):
    """Looks at a step from inside and changes nothing."""

    def first_portion(self, n_windows: int) -> None:
        """The gradients are those of the first `n_windows` windows alone, weighted by their share of the batch."""

    def before_update(self, norms: Float[Tensor, " P"], result: StepResult) -> None:
        """`norms` are those of the parameters' whole gradients; weights and optimizer have not moved yet."""

    def moving(self, parameters: list[Tensor]) -> AbstractContextManager[object]:
        """A context in which these parameters move, some of them after the other until all have."""

    def after_update(self) -> None:
        """The weights have moved. Not called for a step that is not applied."""


def train_step(
    model: GPT,
    optimizer: Optimizer,
    loss_function: LossFunction,
    windows: Windows,
    *,
    factor: float,
    micro_batch: int,
    grad_clip: float,
    precision: Precision,
    watcher: StepWatcher | None = None,
) -> StepResult:
    """One update from all of `windows`, `micro_batch` at a time, at `factor` of the peak learning rate.

    The gradient is that of the mean over all tokens, however the windows are portioned. When the loss or the gradient's
    norm is not finite, neither weights nor optimizer state change.
    """
    loss = backward(loss_function, windows, micro_batch, precision, watcher)
    norms = gradient_norms(model)
    norm = torch.linalg.vector_norm(norms)
    loss_number, norm_number = torch.stack((loss, norm)).tolist()  # one wait for the device
    result = StepResult(loss_number, norm_number, math.isfinite(loss_number) and math.isfinite(norm_number))
    if watcher:
        watcher.before_update(norms, result)
    if result.applied:
        if grad_clip:
            scale_gradients(model, (grad_clip / (norm + 1e-6)).clamp(max=1.0))
        optimizer.step(factor, watcher.moving if watcher else None)
        if watcher:
            watcher.after_update()
    optimizer.zero_grad()
    return result


def backward(
    loss_function: LossFunction,
    windows: Windows,
    micro_batch: int,
    precision: Precision,
    watcher: StepWatcher | None = None,
) -> Tensor:
    """Adds the gradient of the mean loss over `windows` to the parameters; returns that loss."""
    total = torch.zeros((), device=precision.device)
    n_windows = len(windows.ids)
    for number, (ids, documents) in enumerate(portions(windows, micro_batch, precision.device)):
        with precision.autocast():
            loss = loss_function(ids[:, :-1], ids[:, 1:], None if documents is None else documents[:, :-1])
        share = loss * (len(ids) / n_windows)
        torch.autograd.backward(share)
        total += share.detach()
        if watcher and number == 0:
            watcher.first_portion(len(ids))
    return total


def portions(windows: Windows, micro_batch: int, device: str) -> Iterator[tuple[Tensor, Tensor | None]]:
    """The windows in portions of `micro_batch`, on the device: token ids [b, T + 1] and document numbers or None."""
    for start in range(0, len(windows.ids), micro_batch):
        rows = slice(start, start + micro_batch)
        ids = torch.from_numpy(windows.ids[rows]).to(device, non_blocking=True)
        documents = None
        if windows.documents is not None:
            documents = torch.from_numpy(windows.documents[rows]).to(device, non_blocking=True)
        yield ids, documents


def gradient_norms(model: GPT) -> Float[Tensor, " P"]:
    """Euclidean norm of the gradient of each parameter; NaN or infinite when any element is."""
    return parameter_norms(parameter.grad for parameter in model.parameters() if parameter.grad is not None)


def scale_gradients(model: GPT, factor: Tensor) -> None:
    """Multiplies every gradient in place."""
    gradients = [parameter.grad for parameter in model.parameters() if parameter.grad is not None]
    torch._foreach_mul_(gradients, factor)
