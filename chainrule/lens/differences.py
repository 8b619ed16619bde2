"""Derivatives by numbers alone: central differences, extrapolated to step zero, with an estimate of their own error."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor

UNIT_ROUNDOFF = 2.0**-53
SHRINK = 2.0


@dataclass(frozen=True)
class Estimate:
    """A derivative found by differences, how far off it may be, and how often the function was run for it."""

    derivative: float
    error: float
    n_evaluations: int


def ridders(f: Callable[[float], float], h0: float = 0.1, levels: int = 6, at: float = 0.0) -> Estimate:
    """The derivative of `f` at `at`, by Ridders' method: central differences at h0, h0/2, h0/4, … taken to h = 0.

    `h0` is a distance over which `f` changes visibly. The error is Ridders' own estimate (how much an entry of the
    tableau differs from the two that it was made of), and at least what rounding of `f` alone does to a difference:
    u·|f|/h, u = 2⁻⁵³. It stops early when that is all that is left, since a smaller step can then only be worse.

    C. J. F. Ridders, "Accurate computation of F'(x) and F'(x)F''(x)", Advances in Engineering Software 4 (1982) 75–76.
    """
    best, best_error, row, h, n_evaluations = float("nan"), float("inf"), [0.0], h0, 0
    for level in range(levels):
        above, below = f(at + h), f(at - h)
        n_evaluations += 2
        # The step that was really made: at + h is rounded.
        previous, row = row, [(above - below) / ((at + h) - (at - h))]
        floor = UNIT_ROUNDOFF * max(abs(above), abs(below)) / h
        if level == 0:
            best = row[0]
        for column in range(level):
            power = SHRINK ** (2 * (column + 1))
            entry = (row[column] * power - previous[column]) / (power - 1)
            row.append(entry)
            error = max(abs(entry - row[column]), abs(entry - previous[column]), floor)
            if error <= best_error:
                best, best_error = entry, error
        if best_error <= floor:
            break
        h /= SHRINK
    return Estimate(best, best_error, n_evaluations)


def coordinate_derivative(
    forward: Callable[[], float], tensor: Tensor, index: Sequence[int], *, h0: float | None = None, levels: int = 6
) -> Estimate:
    """The derivative of `forward()` by one element of `tensor`, which is moved in place and put back bit for bit.

    The tensor is float64. Without `h0` the first step is a tenth of the element, or of the tensor's root mean square
    where that is larger. When the estimate is not better than a thousandth (a kink lies within the step), it starts
    again with a smaller one.
    """
    place = tuple(index)
    start = float(tensor.detach()[place])
    step = h0 if h0 is not None else first_step(tensor, start)

    def moved(value: float) -> float:
        with torch.no_grad():
            tensor[place] = value
        return forward()

    with restored([tensor], place):
        found = ridders(moved, step, levels, start)
        if found.error > 1e-3 * abs(found.derivative) and found.error > UNIT_ROUNDOFF * abs(forward()) / step:
            closer = ridders(moved, step / 1000, levels, start)
            better = closer if closer.error < found.error else found
            found = Estimate(better.derivative, better.error, found.n_evaluations + closer.n_evaluations + 1)
    return found


def directional_derivative(
    forward: Callable[[], float],
    tensors: Sequence[Tensor],
    direction: Sequence[Tensor],
    *,
    h0: float = 0.1,
    levels: int = 6,
) -> Estimate:
    """The derivative of `forward()` when all `tensors` move along `direction`; they are put back bit for bit."""
    with restored(tensors) as before:

        def moved(distance: float) -> float:
            with torch.no_grad():
                for tensor, start, way in zip(tensors, before, direction, strict=True):
                    torch.add(start, way, alpha=distance, out=tensor.detach())
            return forward()

        return ridders(moved, h0, levels)


@contextmanager
def restored(tensors: Sequence[Tensor], place: tuple[int, ...] | None = None) -> Iterator[list[Tensor]]:
    """Copies of the tensors (of one element each, with `place`), written back at the end whatever happens."""
    cut = [tensor.detach() if place is None else tensor.detach()[place] for tensor in tensors]
    before = [tensor.clone() for tensor in cut]
    try:
        yield before
    finally:
        for tensor, copy in zip(cut, before, strict=True):
            tensor.copy_(copy)


def first_step(tensor: Tensor, value: float) -> float:
    """A tenth of the element or of the tensor's root mean square, whichever is larger; 0.1 for a tensor of zeros."""
    size = max(abs(value), float(tensor.detach().square().mean().sqrt())) if tensor.numel() else 0.0
    return 0.1 * size or 0.1
