"""A step's gradients made twice, from the same weights, batch and random numbers, and their bits compared.

A processor or a memory that computes wrongly now and then leaves no trace: the loss stays finite, the curve a little
noisy. Dixit et al. (arXiv 2102.11245) and Meta's Llama 3 (arXiv 2407.21783, 419 faults in 54 days on 16,384 GPUs, 6 of
them silent corruption) find that it happens.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

# The integer of the same width, as which two numbers are equal when their bits are: NaN is itself then, and -0 not 0.
BITS = {1: torch.uint8, 2: torch.int16, 4: torch.int32, 8: torch.int64}


@dataclass(frozen=True)
class Unlike:
    """What differed: parameters (by the first name and their number), elements of their gradients, by how much at most.

    Without a parameter it was the loss alone.
    """

    first: str
    n_parameters: int
    of_parameters: int
    n_elements: int
    largest: float

    def __str__(self) -> str:
        if not self.n_parameters:
            return f"the loss differs by {self.largest:.3g}, and no gradient"
        return (
            f"{self.n_elements:,} elements of {self.n_parameters} of {self.of_parameters} gradients differ, by "
            f"{self.largest:.3g} at most; the first is that of {self.first}"
        )


def replayed(model: nn.Module, loss: Tensor, again: Callable[[], Tensor]) -> Unlike | None:
    """Makes the gradients, which are there, once more by `again`; None when loss and gradients have the same bits."""
    before = {name: one.grad for name, one in model.named_parameters() if one.grad is not None}
    for parameter in model.parameters():
        parameter.grad = None
    second = again()
    found: dict[str, tuple[int, float]] = {}
    for name, parameter in model.named_parameters():
        if name in before or parameter.grad is not None:
            one, other = before.get(name), parameter.grad
            if one is None or other is None:
                found[name] = parameter.numel(), torch.inf
            elif n_elements := int((_bits(one) != _bits(other)).sum()):
                found[name] = n_elements, float((one.float() - other.float()).abs().max())
    if not found and torch.equal(_bits(loss), _bits(second)):
        return None
    largest = max((size for _, size in found.values()), default=abs(float(loss) - float(second)))
    return Unlike(next(iter(found), ""), len(found), len(before), sum(n for n, _ in found.values()), largest)


def _bits(tensor: Tensor) -> Tensor:
    return tensor.detach().contiguous().view(BITS[tensor.element_size()])
