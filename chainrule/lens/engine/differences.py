"""Derivatives by numbers alone: central differences, extrapolated to step zero, with an estimate of their own error."""

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import pairwise

import torch
from torch import Tensor

UNIT_ROUNDOFF = 2.0**-53
SHRINK, LEVELS = 2.0, 8
NOISE_VALUES = 8
NOISE_ORDER = 3


@dataclass(frozen=True)
class Estimate:
    """A derivative found by differences, how far off it may be, and how often the function was run for it.

    `rounding` is the part that rounding of the function has in the error, as a standard deviation.
    """

    derivative: float
    error: float
    rounding: float
    n_evaluations: int


def ridders(
    f: Callable[[float], float],
    h0: float = 0.1,
    levels: int = LEVELS,
    at: float = 0.0,
    noise: float = 0.0,
    *,
    enough: float = 0.0,
) -> Estimate:
    """The derivative of `f` at `at`, by Ridders' method: central differences at h0, h0/2, h0/4, … taken to h = 0.

    `h0` is a distance over which `f` changes visibly. The error is Ridders' own estimate (how much an entry of the
    tableau differs from the two that it was made of), and at least what rounding alone does to a difference: u·|f|/h,
    u = 2⁻⁵³, or `noise`/h where the values of `f` are known to be less certain (the extrapolation adds up the noise of
    all steps to about that of the last). It stops early when that is all that is left, since a smaller step can then
    only be worse, and when the error is `enough`.

    C. J. F. Ridders, "Accurate computation of F'(x) and F'(x)F''(x)", Advances in Engineering Software 4 (1982) 75–76.
    """
    best = Estimate(math.nan, math.inf, math.inf, 0)
    row, h = [0.0], h0
    for level in range(levels):
        above, below = f(at + h), f(at - h)
        # The step that was really made: at + h is rounded.
        previous, row = row, [(above - below) / ((at + h) - (at - h))]
        floor = max(UNIT_ROUNDOFF * max(abs(above), abs(below)), noise) / h
        if level == 0:
            best = replace(best, derivative=row[0])
        for column in range(level):
            power = SHRINK ** (2 * (column + 1))
            entry = (row[column] * power - previous[column]) / (power - 1)
            row.append(entry)
            error = max(abs(entry - row[column]), abs(entry - previous[column]), floor)
            if error <= best.error:
                best = Estimate(entry, error, floor, 0)
        best = replace(best, n_evaluations=2 * (level + 1))
        if best.error <= max(floor, enough):
            break
        h /= SHRINK
    return best


def computational_noise(f: Callable[[float], float], step: float) -> float:
    """The standard deviation of what rounding adds to the values of `f`, from `NOISE_VALUES` values, `step` apart.

    Third differences of a smooth function vanish for a small step; what is left is noise.
    J. J. Moré and S. M. Wild, "Estimating computational noise", SIAM J. Sci. Comput. 33 (2011) 1292–1314.
    """
    values, order = [f(i * step) for i in range(NOISE_VALUES)], NOISE_ORDER
    for _ in range(order):
        values = [after - before for before, after in pairwise(values)]
    gamma = math.factorial(order) ** 2 / math.factorial(2 * order)
    return math.sqrt(gamma * sum(one * one for one in values) / len(values))


def coordinate_derivative(
    forward: Callable[[], float],
    tensor: Tensor,
    index: Sequence[int],
    *,
    h0: float | None = None,
    levels: int = LEVELS,
    noise: float = 0.0,
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
        tensor.data[place] = value
        return forward()

    with restored([tensor], place):
        found = ridders(moved, step, levels, start, noise)
        if found.error > 1e-3 * abs(found.derivative) and found.error > UNIT_ROUNDOFF * abs(forward()) / step:
            closer = ridders(moved, step / 1000, levels, start, noise)
            n_evaluations = found.n_evaluations + closer.n_evaluations + 1
            found = replace(closer if closer.error < found.error else found, n_evaluations=n_evaluations)
    return found


@contextmanager
def moving(forward: Callable[[], float], tensor: Tensor, place: tuple[int, ...]) -> Iterator[Callable[[float], float]]:
    """The loss as a function of one element; put back bit for bit at the end."""
    with restored([tensor], place):

        def moved(x: float) -> float:
            tensor.data[place] = x
            return forward()

        yield moved


@contextmanager
def along(
    forward: Callable[[], float], tensors: Sequence[Tensor], direction: Sequence[Tensor]
) -> Iterator[Callable[[float], float]]:
    """The loss as a function of how far all `tensors` have moved along `direction`; put back bit for bit at the end."""
    with restored(tensors) as before:

        def moved(distance: float) -> float:
            for tensor, start, way in zip(tensors, before, direction, strict=True):
                torch.add(start, way, alpha=distance, out=tensor.data)
            return forward()

        yield moved


def directional_derivative(
    forward: Callable[[], float],
    tensors: Sequence[Tensor],
    direction: Sequence[Tensor],
    *,
    h0: float = 0.1,
    levels: int = LEVELS,
    noise: float = 0.0,
) -> Estimate:
    """The derivative of `forward()` when all `tensors` move along `direction`; they are put back bit for bit."""
    with along(forward, tensors, direction) as moved:
        return ridders(moved, h0, levels, noise=noise)


@contextmanager
def restored(tensors: Sequence[Tensor], place: tuple[int, ...] | None = None) -> Iterator[list[Tensor]]:
    """Copies of the tensors (of one element each, with `place`), written back at the end whatever happens.

    By way of `.data`, so that a tape or a graph that holds them does not take them for changed.
    """
    cut = [tensor.data if place is None else tensor.data[place] for tensor in tensors]
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
