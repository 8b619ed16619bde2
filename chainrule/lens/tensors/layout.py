"""How a tensor lies in memory: its strides, its order, and whether another shape is a view of the same bytes."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor

from chainrule.base import LensError

EXACT_ELEMENTS = 2**16


@dataclass(frozen=True)
class Layout:
    """Where the elements stand. `stride` and `offset` count elements; `span` is how many the tensor reaches over.

    `overlapping` is None where a large tensor may have elements in one place and it was not counted.
    """

    shape: tuple[int, ...]
    stride: tuple[int, ...]
    offset: int
    order: str
    contiguous: bool
    expanded: tuple[int, ...]
    overlapping: bool | None
    span: int

    @property
    def steps(self) -> str:
        """The strides in words."""
        if not self.shape:
            return "no axis to step along"
        told = [f"along axis {axis} passes {_elements(step)}" for axis, step in enumerate(self.stride)]
        return "a step " + ", ".join(told)


@dataclass(frozen=True)
class Run:
    """Neighbouring axes that are one line in memory: `n_elements` of them, each `step` after the last."""

    axes: tuple[int, ...]
    n_elements: int
    step: int


@dataclass(frozen=True)
class Viewing:
    """Whether `.view(shape)` works without a copy; where not, `why`, and the axis of the new shape that cannot be."""

    shape: tuple[int, ...]
    works: bool
    why: str
    axis: int | None = None

    def __bool__(self) -> bool:
        return self.works


def layout(tensor: Tensor) -> Layout:
    """The tensor's place in its storage."""
    shape, stride = tuple(tensor.shape), tuple(tensor.stride())
    expanded = tuple(axis for axis, (n, step) in enumerate(zip(shape, stride, strict=True)) if step == 0 and n > 1)
    span = 0 if 0 in shape else 1 + sum((n - 1) * step for n, step in zip(shape, stride, strict=True))
    overlapping = overlaps_itself(shape, stride)
    contiguous = tensor.is_contiguous()
    order = order_of(tensor, expanded, span)
    return Layout(shape, stride, int(tensor.storage_offset()), order, contiguous, expanded, overlapping, span)


def order_of(tensor: Tensor, expanded: tuple[int, ...], span: int) -> str:
    """The order of the elements in memory, in the field's words."""
    if tensor.is_contiguous():
        return "contiguous: row-major, the last axis runs fastest"
    for n_axes, known in ((4, torch.channels_last), (5, torch.channels_last_3d)):
        if tensor.dim() == n_axes and tensor.is_contiguous(memory_format=known):
            return f"{str(known).removeprefix('torch.')}: channels run fastest; not contiguous by .is_contiguous()"
    if expanded:
        axes = " and ".join(map(str, expanded))
        return f"expanded along axis {axes} (stride 0): the same elements again and again; not contiguous"
    if tensor.mT.is_contiguous() if tensor.dim() == 2 else False:
        return "transposed: column-major, the first axis runs fastest; not contiguous"
    slowest_first = sorted(range(tensor.dim()), key=tensor.stride().__getitem__, reverse=True)
    if tensor.permute(slowest_first).is_contiguous():
        return f"permuted: in memory the axes stand in the order {tuple(slowest_first)}; not contiguous"
    if span > tensor.numel():
        return f"with gaps: {tensor.numel():,} elements spread over {span:,} places; not contiguous"
    return "windows that overlap; not contiguous"


def overlaps_itself(shape: Sequence[int], stride: Sequence[int]) -> bool | None:
    """Whether two elements stand in one place; None for a large tensor where only counting could tell."""
    axes = sorted((step, n) for n, step in zip(shape, stride, strict=True) if n != 1)
    if 0 in shape or not axes:
        return False
    if axes[0][0] == 0:
        return True
    reach = 0
    for step, n in axes:
        if step <= reach:
            break
        reach += step * (n - 1)
    else:
        return False
    if math.prod(shape) > EXACT_ELEMENTS:
        return None
    return bool(len(np.unique(places(shape, stride))) < math.prod(shape))


def places(shape: Sequence[int], stride: Sequence[int], offset: int = 0) -> np.ndarray:
    """Where each element stands, counted in elements from the beginning of the storage."""
    found = np.full((), offset, dtype=np.int64)
    for n, step in zip(shape, stride, strict=True):
        found = found[..., None] + np.arange(n, dtype=np.int64) * step
    return found


def runs(shape: Sequence[int], stride: Sequence[int]) -> list[Run]:
    """The axes as few lines as possible; axes of size 1 belong to none."""
    found: list[Run] = []
    for axis, (n, step) in enumerate(zip(shape, stride, strict=True)):
        if n == 1:
            continue
        if found and found[-1].step == n * step:
            last = found.pop()
            found.append(Run((*last.axes, axis), last.n_elements * n, step))
        else:
            found.append(Run((axis,), n, step))
    return found


def viewing(tensor: Tensor, *shape: int) -> Viewing:
    """Whether `tensor.view(*shape)` would work, and why not.

    A view gives the same elements another shape without moving them. So each new axis must lie inside one line of
    evenly spaced elements. Raises LensError for sizes that no shape has.
    """
    n, old = tensor.numel(), tuple(tensor.shape)
    wanted = whole_shape(n, shape)
    if wanted is None or math.prod(wanted) != n:
        return Viewing(tuple(shape), False, f"{counted(old)} cannot become {counted(shape)}")
    if n == 0:
        return Viewing(wanted, True, "there is no element to move")
    lines = runs(old, tensor.stride())
    sizes = [(axis, size) for axis, size in enumerate(wanted) if size != 1]
    for line, following in pairwise([*lines, None]):
        assert line is not None
        taken, axis = 1, 0
        while taken < line.n_elements:
            axis, size = sizes.pop(0)
            taken *= size
        if taken != line.n_elements:
            assert following is not None
            return Viewing(wanted, False, _torn(axis, wanted, old, tensor.stride(), line, following), axis)
    return Viewing(wanted, True, "the elements keep their places; only shape and stride change")


def whole_shape(n_elements: int, shape: Sequence[int]) -> tuple[int, ...] | None:
    """`shape` with its -1 worked out; None where no whole number does."""
    if any(size < -1 for size in shape) or list(shape).count(-1) > 1:
        raise LensError(f"{tuple(shape)} is not a shape: sizes are 0 or more, and one of them may be -1 (what is left)")
    rest = math.prod(size for size in shape if size != -1)
    if -1 not in shape:
        return tuple(shape)
    if rest == 0 or n_elements % rest:
        return None
    return tuple(n_elements // rest if size == -1 else size for size in shape)


def counted(shape: Sequence[int]) -> str:
    """A shape with its number of elements: `(2, 3): 6 elements`, `(4, -1): 4 times a whole number`."""
    if -1 in shape:
        return f"{tuple(shape)} (a multiple of {math.prod(size for size in shape if size != -1)} elements)"
    return f"{tuple(shape)} ({_elements(math.prod(shape))})"


def _torn(
    axis: int, wanted: Sequence[int], shape: Sequence[int], stride: Sequence[int], line: Run, following: Run
) -> str:
    """Why one new axis cannot go over the seam between two lines of the old tensor."""
    above, below = line.axes[-1], following.axes[0]
    return (
        f"axis {axis} of the new shape (size {wanted[axis]}) would run from axis {above} into axis {below} with one "
        f"stride; that needs stride[{above}] = shape[{below}] × stride[{below}] = {shape[below]} × {stride[below]} = "
        f"{shape[below] * stride[below]}, and it is {stride[above]}"
    )


def _elements(n: int) -> str:
    return f"{n:,} element" if n == 1 else f"{n:,} elements"
