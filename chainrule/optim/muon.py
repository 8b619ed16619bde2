"""Muon: momentum whose matrices are made orthogonal before they move the weights."""

from collections.abc import Callable, Iterable
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

# A quintic iteration that drives all singular values towards 1 in five steps (Jordan et al. 2024, "Muon: an optimizer
# for hidden layers in neural networks"): its slope at 0 is as steep as convergence allows, so it ends between 0.7 and
# 1.2 rather than at 1, which costs nothing in training.
QUINTIC = (3.4445, -4.7750, 2.0315)


def orthogonalise(
    matrices: Float[Tensor, "N R C"], n_steps: int = 5, dtype: torch.dtype = torch.float32
) -> Float[Tensor, "N R C"]:
    """Matrices with the same singular vectors and singular values near 1, computed in `dtype`."""
    a, b, c = QUINTIC
    x = matrices.to(dtype)
    tall = x.shape[-2] > x.shape[-1]
    if tall:
        x = x.mT
    x = x / (x.norm(dim=(-2, -1), keepdim=True) + 1e-7)
    for _ in range(n_steps):
        square = x @ x.mT
        x = a * x + (b * square + c * square @ square) @ x
    return (x.mT if tall else x).to(matrices.dtype)


class Muon(torch.optim.Optimizer):
    """Nesterov momentum, orthogonalised, for the matrices inside the blocks.

    An update has a root mean square of about √(max(1, rows / columns) / columns), times lr. Weight decay is decoupled.
    Each group may name `pieces`: for a parameter that stacks several matrices (queries, keys, values), the row counts
    of each, which are orthogonalised apart. `dtype` is the number format of their iteration: bfloat16 is half the work
    where the machine has products of it, and many times the work where they are emulated. State: one `momentum` a
    parameter, float32.
    """

    def __init__(
        self,
        params: Iterable[dict[str, Any]],
        lr: float = 0.02,
        momentum: float = 0.95,
        weight_decay: float = 0.0,
        dtype: torch.dtype = torch.float32,
    ) -> None:
        super().__init__(params, {"lr": lr, "momentum": momentum, "weight_decay": weight_decay, "pieces": None})
        self.dtype = dtype

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
        """Moves all parameters that have a gradient."""
        for group in self.param_groups:
            moved = [parameter for parameter in group["params"] if parameter.grad is not None]
            updates = [self._nesterov(parameter, group["momentum"]) for parameter in moved]
            for parameter, update in zip(moved, _orthogonal(updates, group["pieces"], self.dtype), strict=True):
                parameter.mul_(1 - group["lr"] * group["weight_decay"])
                parameter.add_(update, alpha=-group["lr"])

    def _nesterov(self, parameter: Tensor, memory: float) -> Tensor:
        state = self.state[parameter]
        if "momentum" not in state:
            state["momentum"] = torch.zeros_like(parameter)
        gradient = parameter.grad
        assert gradient is not None
        state["momentum"].lerp_(gradient, 1 - memory)
        return gradient.lerp(state["momentum"], memory)


def _orthogonal(updates: list[Tensor], pieces: list[int] | None, dtype: torch.dtype) -> list[Tensor]:
    """Orthogonal updates, scaled for their shape; equal shapes go through the iteration as one batch."""
    parts = [list(torch.split(update, pieces)) if pieces else [update] for update in updates]
    for position in range(len(parts[0]) if parts else 0):
        for shape in {part[position].shape for part in parts}:
            members = [part for part in parts if part[position].shape == shape]
            batch = orthogonalise(torch.stack([part[position] for part in members]), dtype=dtype)
            scale = max(1.0, shape[0] / shape[1]) ** 0.5
            for part, update in zip(members, batch.unbind(), strict=True):
                part[position] = update * scale
    return [torch.cat(part) if len(part) > 1 else part[0] for part in parts]
