"""How large the gradient, the weights and the update of each layer are, at every step."""

import math
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn

from chainrule.health.layers import parameter_layers


@dataclass(frozen=True)
class Norms:
    """Euclidean norms, one for each layer: of its gradient (before clipping), its weights, and what one step added."""

    gradient: tuple[float, ...]
    weight: tuple[float, ...]
    update: tuple[float, ...]

    @property
    def ratio(self) -> tuple[float, ...]:
        """Update over weights: the share of its own size by which one step moved each layer; NaN where that is 0."""
        return tuple(u / w if w else math.nan for u, w in zip(self.update, self.weight, strict=True))


def parameter_norms(tensors: Iterable[Tensor]) -> Float[Tensor, " P"]:
    """The norm of each tensor, on its device, without waiting for it."""
    return torch.stack(torch._foreach_norm(list(tensors)))


class NormMeter:
    """Measures what learns of one model: parameters that have a gradient at each step.

    It costs one pass over the weights, and for the update a copy and two more; the copy is of those weights alone that
    move at that time. All numbers of a step, or of several, reach the CPU in one transfer.
    """

    def __init__(self, model: nn.Module) -> None:
        self.parameters = {name: one for name, one in model.named_parameters() if one.requires_grad}
        groups = {
            layer: learning
            for layer, names in parameter_layers(model).items()
            if (learning := [name for name in names if name in self.parameters])
        }
        self.layers = tuple(groups)
        places = {name: place for place, names in enumerate(groups.values()) for name in names}
        self._layer_of = [places[name] for name in self.parameters]
        self._updates: dict[int, Tensor] = {}

    @contextmanager
    def moving(self, parameters: list[Tensor]) -> Iterator[None]:
        """A context in which these parameters move, and by how much is measured."""
        before = [parameter.detach().clone() for parameter in parameters]
        yield
        with torch.no_grad():
            torch._foreach_sub_(before, parameters)
        for parameter, norm in zip(parameters, torch._foreach_norm(before), strict=True):
            self._updates[id(parameter)] = norm

    @torch.no_grad()
    def measured(self, gradients: Float[Tensor, " P"]) -> Float[Tensor, "3 P"]:
        """Norms of gradients, weights and updates, on their device, without waiting for it; see `norms`.

        `gradients` are `parameter_norms`, and every parameter has moved.
        """
        weights: list[Tensor] = list(self.parameters.values())
        updates = torch.stack([self._updates.pop(id(weight)) for weight in weights])
        return torch.stack((gradients.float(), parameter_norms(weights).float(), updates.float()))

    def norms(self, measured: Sequence[Sequence[float]]) -> Norms:
        """What was `measured`, as numbers, by layer."""
        gradient, weight, update = measured
        return Norms(self.by_layer(gradient), self.by_layer(weight), self.by_layer(update))

    def measure(self, gradients: Float[Tensor, " P"]) -> Norms:
        """Both at once."""
        return self.norms(self.measured(gradients).tolist())

    def by_layer(self, norms: Sequence[float]) -> tuple[float, ...]:
        """The norm of each layer from those of its parameters; not finite where one of them is not."""
        squares = [0.0] * len(self.layers)
        for place, norm in zip(self._layer_of, norms, strict=True):
            squares[place] += norm * norm
        return tuple(map(math.sqrt, squares))
