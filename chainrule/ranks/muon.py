"""Muon for matrices whose parts lie on several processes: gathered, made orthogonal, and each keeps its own part.

The momentum stays in parts. What is gathered is one matrix for each update; every process makes it orthogonal, so that
nothing but that gathering is sent.
"""

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.distributed.tensor import DTensor

from chainrule.optim import SLICE_NUMBERS, Muon, MuonForMatrices, orthogonalise
from chainrule.ranks.parts import local, own_part

Moved = tuple[nn.Parameter, list[Tensor]]
"""A parameter and the matrices that it is stacked of, as they shall move it: whole."""


class MuonOfParts(Muon):
    """See `Muon`; its parameters are DTensors, its momentum as well."""

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
        """Moves all parameters that have a gradient."""
        for group in self.param_groups:
            for portion in _portions([one for one in group["params"] if one.grad is not None]):
                self._move_together([(one, self._update(one, group)) for one in portion], group)

    def _update(self, parameter: nn.Parameter, group: dict[str, Any]) -> list[Tensor]:
        """The matrices of Nesterov's momentum, the gradient taken into it, whole."""
        momentum, gradient = self.state[parameter]["momentum"], parameter.grad
        assert isinstance(gradient, DTensor)
        local(momentum).lerp_(local(gradient), 1 - group["momentum"])
        part = torch.lerp(local(gradient), local(momentum), group["momentum"])
        whole = DTensor.from_local(
            part, gradient.device_mesh, gradient.placements, shape=gradient.shape, stride=gradient.stride()
        ).full_tensor()
        return list(torch.split(whole, group["pieces"] or [len(whole)]))

    def _move_together(self, moved: list[Moved], group: dict[str, Any]) -> None:
        """One update; matrices of one shape are made orthogonal together."""
        pieces = [piece for _, updates in moved for piece in updates]
        for shape in {piece.shape: None for piece in pieces}:
            alike = [piece for piece in pieces if piece.shape == shape]
            n_rows, n_columns = shape
            found = orthogonalise(torch.stack(alike).to(self.dtype)).to(alike[0].dtype)
            found.mul_(-group["lr"] * max(1.0, n_rows / n_columns) ** 0.5)
            for piece, change in zip(alike, found, strict=True):
                piece.copy_(change)
        kept = 1 - group["lr"] * group["weight_decay"]
        for parameter, updates in moved:
            whole = torch.cat(updates) if len(updates) > 1 else updates[0]
            local(parameter).mul_(kept).add_(own_part(whole, parameter))


class MuonForParts(MuonForMatrices):
    """See `MuonForMatrices`."""

    mover = MuonOfParts


def _portions(parameters: list[nn.Parameter]) -> Iterator[list[nn.Parameter]]:
    """As many as have SLICE_NUMBERS numbers, at least one: so much is whole at a time."""
    portion: list[nn.Parameter] = []
    for parameter in parameters:
        if portion and sum(one.numel() for one in [*portion, parameter]) > SLICE_NUMBERS:
            yield portion
            portion = []
        portion.append(parameter)
    if portion:
        yield portion
