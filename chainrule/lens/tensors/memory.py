"""Which tensors and NumPy arrays lie in the same memory."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from chainrule.base import LensError
from chainrule.lens.tensors.layout import EXACT_ELEMENTS, places

Shared = Tensor | np.ndarray


@dataclass(frozen=True)
class Block:
    """The memory that one tensor stands in: bytes from `start` to `end` on a device; `first` to `last` are its own."""

    name: str
    device: str
    start: int
    end: int
    first: int
    last: int


@dataclass(frozen=True)
class Pair:
    """Two in the same memory. `overlap` is whether a write to one changes the other; None: large, and not counted."""

    first: str
    second: str
    overlap: bool | None


@dataclass(frozen=True, repr=False)
class Sharing:
    """Who lies in the same memory: `groups` of names, and each `pair` inside a group. True when all are in one."""

    groups: tuple[tuple[str, ...], ...]
    pairs: tuple[Pair, ...]

    def __bool__(self) -> bool:
        return len(self.groups) == 1

    def of(self, name: str) -> tuple[str, ...]:
        """The others in the memory of `name`."""
        return tuple(other for group in self.groups if name in group for other in group if other != name)

    def __repr__(self) -> str:
        return self.text()

    def text(self) -> str:
        """One line for each group and each pair."""
        lines = []
        for group in self.groups:
            names = ", ".join(group[:-1]) + f" and {group[-1]}" if len(group) > 1 else group[0]
            lines.append(f"{names} {'share one storage' if len(group) > 1 else 'has memory of its own'}")
            lines += [f"  {_told(pair)}" for pair in self.pairs if pair.first in group]
        return "\n".join(lines)


def shares(*tensors: Shared, **named: Shared) -> Sharing:
    """Which of the tensors and NumPy arrays lie in the same memory; without a keyword one is called by its number.

    Two share when their storages are the same bytes, even when their own elements lie apart in it. Raises LensError for
    fewer than two, and for what has no address: sparse and nested tensors.
    """
    given = {str(number): one for number, one in enumerate(tensors, 1)} | named
    if len(given) < 2:
        raise LensError("give two tensors or more to see whether they share memory: lens.shares(a, b)")
    blocks = [block(name, one) for name, one in given.items()]
    groups: list[list[Block]] = []
    for one in blocks:
        touching = [group for group in groups if any(_same_memory(one, other) for other in group)]
        groups = [group for group in groups if group not in touching]
        groups.append([other for group in touching for other in group] + [one])
    order = list(given)
    groups = [sorted(group, key=lambda one: order.index(one.name)) for group in groups]
    groups.sort(key=lambda group: order.index(group[0].name))
    pairs = [
        Pair(a.name, b.name, overlap(given[a.name], given[b.name], a, b))
        for group in groups
        for at, a in enumerate(group)
        for b in group[at + 1 :]
    ]
    return Sharing(tuple(tuple(one.name for one in group) for group in groups), tuple(pairs))


def block(name: str, one: Any) -> Block:
    """The memory that `one` stands in."""
    if isinstance(one, np.ndarray):
        first, last = _bounds(one)
        return Block(name, "cpu", first, last, first, last)
    if not isinstance(one, Tensor):
        raise LensError(f"{name} is a {type(one).__name__}; give tensors or NumPy arrays")
    storage = require_strided(one).untyped_storage()
    # Without bytes (empty, or on `meta`) there is no address; the storage object itself says who shares.
    start = storage.data_ptr() or -storage._cdata
    span = 0 if not one.numel() else 1 + sum((n - 1) * step for n, step in zip(one.shape, one.stride(), strict=True))
    first = start + int(one.storage_offset()) * one.element_size()
    return Block(name, str(one.device), start, start + storage.nbytes(), first, first + span * one.element_size())


def require_strided(tensor: Tensor) -> Tensor:
    """The tensor itself; raises LensError for the kinds that have no strides, with what to look at instead."""
    if tensor.is_nested:
        raise LensError("a nested tensor is many tensors of different shapes; look at one of t.unbind()")
    if tensor.layout is not torch.strided:
        raise LensError(
            f"a tensor of layout {tensor.layout} has no strides and keeps only some elements ({_stored(tensor)}); "
            "look at t.to_dense(), or at t.values()"
        )
    if tensor.is_quantized:
        raise LensError(
            f"a quantised tensor ({tensor.dtype}) keeps integers and a scale; look at t.dequantize() or t.int_repr()"
        )
    return tensor


def overlap(one: Shared, other: Shared, a: Block, b: Block) -> bool | None:
    """Whether an element of `one` and an element of `other` have a byte in common; None where too large to count."""
    if a.last <= b.first or b.last <= a.first:
        return False
    if max(_size(one), _size(other)) > EXACT_ELEMENTS:
        return None
    return bool(np.intersect1d(_bytes(one, a), _bytes(other, b)).size)


def _same_memory(a: Block, b: Block) -> bool:
    if a.device != b.device:
        return False
    return a.start == b.start or (a.start < b.end and b.start < a.end)


def _bytes(one: Shared, where: Block) -> np.ndarray:
    """The address of every byte of every element."""
    width = one.itemsize if isinstance(one, np.ndarray) else one.element_size()
    if isinstance(one, np.ndarray):
        starts = places(one.shape, one.strides, one.__array_interface__["data"][0])
    else:
        starts = places(one.shape, [step * width for step in one.stride()], where.first)
    return (starts[..., None] + np.arange(width)).reshape(-1)


def _bounds(array: np.ndarray) -> tuple[int, int]:
    first = last = int(array.__array_interface__["data"][0])
    if not array.size:
        return first, first
    reach: Sequence[int] = [(n - 1) * step for n, step in zip(array.shape, array.strides, strict=True)]
    return first + sum(r for r in reach if r < 0), last + sum(r for r in reach if r > 0) + array.itemsize


def _size(one: Shared) -> int:
    return int(one.size) if isinstance(one, np.ndarray) else one.numel()


def _stored(tensor: Tensor) -> str:
    try:
        return f"{tensor._nnz():,} of {tensor.numel():,}"
    except (RuntimeError, AttributeError, NotImplementedError):
        return "not counted"


def _told(pair: Pair) -> str:
    if pair.overlap is None:
        return f"{pair.first} and {pair.second} may have elements in common: too many to count"
    if pair.overlap:
        return f"a write to {pair.first} changes {pair.second}"
    return f"{pair.first} and {pair.second} have no element in common"
