"""Two gradients of the same values, held against each other."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from chainrule.lens.engine.backward import ReverseStep, reverse
from chainrule.lens.engine.policy import Policy
from chainrule.lens.tape import Tape

PIECE = 2**16


@dataclass(frozen=True)
class Difference:
    """How far two gradients of one value are apart.

    `absolute` is the largest difference of an element, `size` the largest element of either gradient, `spacing` the
    distance between neighbouring numbers there.
    """

    value: int
    absolute: float
    size: float
    spacing: float

    @property
    def relative(self) -> float:
        """The difference over the size of the gradient; 0 when both are zero, infinite when one is not finite."""
        if self.absolute == math.inf:
            return math.inf
        return self.absolute / self.size if self.size else 0.0

    @property
    def ulps(self) -> float:
        """The difference in units in the last place of the largest element."""
        return self.absolute / self.spacing if self.spacing else 0.0


def difference(value: int, one: Tensor | None, other: Tensor | None, eps: float) -> Difference:
    """Holds `one` against `other`; None is a gradient of zeros. `eps` is that of the number format.

    NaN in both is agreement; the size is that of the finite elements.
    """
    size = max(largest(one), largest(other))
    absolute = size if one is None or other is None else apart(one, other)
    if size == math.inf:
        size = max(largest(_finite(one)), largest(_finite(other)))
    spacing = eps * 2.0 ** math.floor(math.log2(size)) if 0 < size < math.inf else 0.0
    return Difference(value, absolute, size, spacing)


def apart(one: Tensor, other: Tensor) -> float:
    """The largest difference of an element; elements that are not finite in the same way in both are no difference."""
    one, other = one.detach(), other.detach()
    if one.numel() > PIECE and one.is_contiguous() and other.is_contiguous():
        # In pieces that the cache holds: a difference of all would be new memory, written and read again.
        pieces = zip(torch.split(one.flatten(), PIECE), torch.split(other.flatten(), PIECE), strict=True)
        return max(apart(*piece) for piece in pieces)
    found = largest(one - other)
    if found < math.inf:
        return found
    alike = (one == other) | (one.isnan() & other.isnan())
    return largest(torch.where(alike, torch.zeros_like(one), one - other))


def _finite(tensor: Tensor | None) -> Tensor | None:
    return None if tensor is None else torch.where(tensor.isfinite(), tensor, torch.zeros_like(tensor)).detach()


def largest(tensor: Tensor | None) -> float:
    """The largest absolute value, 0 of nothing; NaN and infinity count as infinite."""
    if tensor is None or not tensor.numel():
        return 0.0
    if tensor.is_complex():
        tensor = tensor.abs()
    low, high = torch.aminmax(tensor.detach())  # one pass, where abs() would make a copy
    found = max(-float(low), float(high))
    return found if math.isfinite(found) else math.inf


@dataclass(frozen=True)
class Comparison:
    """The rules' walk held against autograd's gradients.

    `ours` has the rules' gradient of every value on the way, `differences` those values that both know. `fallback`
    names the operations that had no rule; `n_unknown` counts the values that autograd does not know: they lie inside
    custom autograd Functions.
    """

    ours: dict[int, Tensor]
    differences: dict[int, Difference]
    fallback: tuple[str, ...]
    n_unknown: int


def compare(tape: Tape, autograd: dict[int, Tensor | None], *, policy: Policy) -> Comparison:
    """Walks back with the rules and holds each gradient, as soon as it is whole, against autograd's.

    `autograd` is emptied on the way, so that the memory of both is not needed at once.
    """
    ours: dict[int, Tensor] = {}
    differences: dict[int, Difference] = {}
    local: dict[str, None] = {}
    n_unknown = 0

    def hold(value: int, gradient: Tensor) -> None:
        nonlocal n_unknown
        ours[value] = gradient
        if value in autograd:
            differences[value] = difference(value, gradient, autograd.pop(value), _eps(tape, value))
        else:
            n_unknown += 1

    def see(step: ReverseStep) -> None:
        for value, gradient in zip(step.node.outputs, step.incoming, strict=True):
            if gradient is not None:
                hold(value, gradient)
        if not step.independent:
            local[step.node.op] = None

    for value, gradient in reverse(tape, see, policy=policy).items():
        hold(value, gradient)
    for value in [value for value, theirs in autograd.items() if theirs is not None]:
        differences[value] = difference(value, None, autograd.pop(value), _eps(tape, value))
    return Comparison(ours, differences, tuple(local), n_unknown)


def _eps(tape: Tape, value: int) -> float:
    return torch.finfo(tape.values[value].meta.dtype).eps
