"""One update of the weights: micro-batches in, gradients summed, and moved only when every number is finite."""

import math
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor, nn

from chainrule.device import Precision
from chainrule.health import Excess, parameter_norms
from chainrule.model import WindowsLike, micro_batches
from chainrule.optim import Optimizer
from chainrule.train.objective import Objective
from chainrule.train.replay import Unlike, replayed


@dataclass(frozen=True)
class StepResult:
    """Mean loss in nats per token, norm of the whole gradient before clipping, and whether the weights moved.

    `excess`: what was judged to be out of line, where something is done about that; `unlike`: how the gradients
    differed when they were made twice. In both cases the weights have not moved. `ranks` are the processes, of several,
    whose own share of the loss was not finite.
    """

    loss: float
    grad_norm: float
    applied: bool
    excess: tuple[Excess, ...] = ()
    unlike: Unlike | None = None
    ranks: tuple[int, ...] = ()


@dataclass(frozen=True)
class StepSettings:
    """How one update is made: at `factor` of the peak learning rate, from so many windows at a time.

    `grad_clip` is the largest norm of the whole gradient; 0 for any. `judge` says of the loss and that norm what is out
    of line, and then nothing moves. `reseed`, which starts the random numbers as they were, asks for the gradients to
    be made twice.
    """

    factor: float
    micro_batch: int
    grad_clip: float
    precision: Precision
    judge: Callable[[float, float], tuple[Excess, ...]] | None = None
    reseed: Callable[[], None] | None = None


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
    model: nn.Module,
    optimizer: Optimizer,
    objective: Objective,
    windows: WindowsLike,
    settings: StepSettings,
    watcher: StepWatcher | None = None,
) -> StepResult:
    """One update from all of `windows`.

    The gradient is that of the mean over all that counts, however the windows are portioned. When the loss or the norm
    of the gradient is not finite, neither weights nor optimizer state change.
    """
    loss = backward(objective, windows, settings.micro_batch, settings.precision, watcher)
    unlike = None
    if settings.reseed:
        settings.reseed()
        unlike = replayed(model, loss, lambda: backward(objective, windows, settings.micro_batch, settings.precision))
    norms = gradient_norms(model)
    norm = torch.linalg.vector_norm(norms)
    shrink = (settings.grad_clip / (norm + 1e-6)).clamp(max=1.0)
    loss_number, norm_number, shrink_number = torch.stack((loss, norm, shrink)).tolist()  # one wait for the device
    excess = settings.judge(loss_number, norm_number) if settings.judge else ()
    finite = math.isfinite(loss_number) and math.isfinite(norm_number)
    result = StepResult(loss_number, norm_number, finite and not excess and not unlike, excess, unlike)
    if watcher:
        watcher.before_update(norms, result)
    if result.applied:
        if settings.grad_clip and shrink_number < 1.0:
            scale_gradients(model, shrink_number)
        optimizer.step(settings.factor, watcher.moving if watcher else None)
        if watcher:
            watcher.after_update()
    optimizer.zero_grad()
    return result


def backward(
    objective: Objective,
    windows: WindowsLike,
    micro_batch: int,
    precision: Precision,
    watcher: StepWatcher | None = None,
) -> Tensor:
    """Adds the gradient of the mean loss over `windows` to the parameters; returns that loss."""
    total = torch.zeros((), device=precision.device)
    counted = max(1, objective.counted(windows))
    with precision.casts_kept():
        for number, batch in enumerate(micro_batches(windows, micro_batch, precision.device)):
            rows = slice(number * micro_batch, number * micro_batch + len(batch))
            with precision.autocast():
                loss = objective.loss(batch)
            share = loss * (objective.counted(windows, rows) / counted)
            torch.autograd.backward(share)
            total += share.detach()
            if watcher and number == 0:
                watcher.first_portion(len(batch))
    return total


def gradient_norms(model: nn.Module) -> Float[Tensor, " P"]:
    """Euclidean norm of the gradient of each parameter; NaN or infinite when any element is."""
    return parameter_norms(parameter.grad for parameter in model.parameters() if parameter.grad is not None)


def scale_gradients(model: nn.Module, factor: float) -> None:
    """Multiplies every gradient in place."""
    gradients = [parameter.grad for parameter in model.parameters() if parameter.grad is not None]
    torch._foreach_mul_(gradients, factor)
