"""One forward and backward pass, with the size of every activation and of every gradient on the way."""

import math
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from chainrule.health.norms import parameter_norms

Portion = Callable[[nn.Module], Tensor]
"""The loss of one micro-batch, weighted by its share of the batch: the losses of all portions add up to the batch's."""


@dataclass(frozen=True)
class Reading:
    """How large one tensor was: root mean square and largest magnitude; `finite` when every element was."""

    rms: float
    largest: float

    @property
    def finite(self) -> bool:
        """Whether every element was finite."""
        return math.isfinite(self.rms) and math.isfinite(self.largest)


@dataclass(frozen=True)
class Passage:
    """What a batch did to a model.

    `forward` holds the outputs of the modules in the order in which they were done, `backward` the gradients of those
    outputs in the order in which they came, `parameters` the norm of each parameter's gradient.
    """

    loss: float
    grad_norm: float
    forward: Mapping[str, Reading]
    backward: Mapping[str, Reading]
    parameters: Mapping[str, float]

    @property
    def finite(self) -> bool:
        """Whether loss and gradient are."""
        return math.isfinite(self.loss) and math.isfinite(self.grad_norm)


def passage(model: nn.Module, portions: Sequence[Portion]) -> Passage:
    """Runs all portions through the model, their gradients added; leaves neither gradients nor hooks behind.

    The model's output is called by the empty path. Sizes are measured in float64, so that float32's own overflow shows
    as a number where it can.
    """
    sizes: dict[tuple[str, str], list[Tensor]] = {}
    counts: dict[tuple[str, str], int] = {}

    def note(way: str, path: str, tensor: Tensor) -> None:
        wide = tensor.detach()
        norm = torch.linalg.vector_norm(wide, dtype=torch.float64)
        sizes.setdefault((way, path), []).append(torch.stack((norm, wide.abs().amax().double())))
        counts[way, path] = counts.get((way, path), 0) + wide.numel()

    def hook(path: str) -> Callable[[nn.Module, Any, Any], None]:
        def seen(_module: nn.Module, _inputs: Any, output: Any) -> None:
            tensor = _first_tensor(output)
            if tensor is not None:
                note("forward", path, tensor)
                if tensor.requires_grad:
                    tensor.register_hook(partial(note, "backward", path))  # type: ignore[no-untyped-call]

        return seen

    parameters = {name: parameter for name, parameter in model.named_parameters() if parameter.requires_grad}
    model.zero_grad(set_to_none=True)
    total: Tensor | None = None
    try:
        with ExitStack() as hooks:
            for path, module in model.named_modules():
                hooks.callback(module.register_forward_hook(hook(path)).remove)
            for portion in portions:
                loss = portion(model)
                torch.autograd.backward(loss)
                # Added in the losses' own type and order, as a training step does: the sum is the run's, bit for bit.
                total = loss.detach() if total is None else total + loss.detach()
        gradients = {name: one.grad for name, one in parameters.items() if one.grad is not None}
        norms = parameter_norms(one.double() for one in gradients.values()).tolist() if gradients else []
    finally:
        model.zero_grad(set_to_none=True)
    readings = {key: _reading(parts, counts[key]) for key, parts in sizes.items()}
    forward, backward = (
        {path: one for (way, path), one in readings.items() if way == wanted} for wanted in ("forward", "backward")
    )
    return Passage(
        float(total) if total is not None else 0.0,
        math.hypot(*norms),
        forward,
        backward,
        dict(zip(gradients, norms, strict=True)),
    )


def _reading(parts: list[Tensor], count: int) -> Reading:
    norms, largest = torch.stack(parts).cpu().unbind(1)
    rms = float(torch.linalg.vector_norm(norms)) / math.sqrt(max(count, 1))
    # amax passes NaN on, so that one that hides among large numbers is not lost.
    return Reading(rms, float(largest.amax()))


def _first_tensor(output: Any) -> Tensor | None:
    for one in output if isinstance(output, list | tuple) else (output,):
        if isinstance(one, Tensor) and one.is_floating_point() and one.numel():
            return one
    return None
