"""How large the gradient, the weights and the update of each layer are, at every step."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn

from chainrule.lens.layers import parameter_layers


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
    """Measures one model, of which every parameter has a gradient.

    It costs one pass over the weights, and for the update a copy and two more; memory for the copy is taken after the
    backward pass, whose activations are gone by then. All numbers of a step reach the CPU in one transfer.
    """

    def __init__(self, model: nn.Module) -> None:
        self.parameters = dict(model.named_parameters())
        groups = parameter_layers(model)
        self.layers = tuple(groups)
        places = {name: place for place, names in enumerate(groups.values()) for name in names}
        self._layer_of = [places[name] for name in self.parameters]

    @torch.no_grad()
    def copy(self) -> list[Tensor]:
        """The weights as they are now, to be handed to `measure` after the step."""
        copies = [torch.empty_like(parameter) for parameter in self.parameters.values()]
        torch._foreach_copy_(copies, list(self.parameters.values()))
        return copies

    @torch.no_grad()
    def measure(self, gradients: Float[Tensor, " P"], before: list[Tensor]) -> Norms:
        """All three norms by layer; `gradients` are `parameter_norms`, `before` is used up as working memory."""
        weights: list[Tensor] = list(self.parameters.values())
        torch._foreach_sub_(before, weights)
        parts = (gradients.float(), parameter_norms(weights).float(), parameter_norms(before).float())
        gradient, weight, update = torch.stack(parts).tolist()
        return Norms(self.by_layer(gradient), self.by_layer(weight), self.by_layer(update))

    def by_layer(self, norms: Sequence[float]) -> tuple[float, ...]:
        """The norm of each layer from those of its parameters; not finite where one of them is not."""
        squares = [0.0] * len(self.layers)
        for place, norm in zip(self._layer_of, norms, strict=True):
            squares[place] += norm * norm
        return tuple(map(math.sqrt, squares))
