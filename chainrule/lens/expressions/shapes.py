"""Operations that give the same elements another shape, put tensors together, or pick from them."""

import math
from typing import Any

import torch
from torch import Tensor

from chainrule.lens.expressions.steps import Doing, Trouble, Words
from chainrule.lens.tensors import dtype_name, shape_words, viewing, whole_shape


def view_words(doing: Doing) -> Words:
    """The number of elements stays."""
    before = tuple(doing.tensors[0].shape)
    after = tuple(doing.result.shape) if isinstance(doing.result, Tensor) else ()
    if before == after:
        return Words(f"nothing happened: the shape was {shape_words(before)} already")
    return Words(f"the number of elements stays: {_dots(before)} = {_dots(after)}; they are read row by row")


def view_trouble(doing: Doing) -> Trouble | None:
    """Another number of elements, or strides that no single stride can follow."""
    one, wanted = doing.tensors[0], _wanted(doing)
    n = one.numel()
    if not wanted or any(size < -1 for size in wanted) or wanted.count(-1) > 1:
        return None
    whole = whole_shape(n, wanted)
    known = math.prod(size for size in wanted if size != -1)
    if whole is None:
        if known == 0:
            return Trouble(f"-1 cannot be worked out beside a size of 0: {shape_words(wanted)}")
        return Trouble(
            f"{n} elements ({_product(tuple(one.shape))}) are no multiple of {known}, so -1 has no size", (n, known)
        )
    if math.prod(whole) != n:
        counts = f"{_product(tuple(one.shape))} elements there, {_product(whole)} wanted"
        return Trouble(f"the number of elements must stay: {counts}", (n, math.prod(whole)))
    seen = viewing(one, *whole)
    if seen or doing.operation not in ("view", "view_as"):
        return None
    return Trouble(f"view moves no element, and here it would have to: {seen.why}. reshape copies where it must")


def transpose_words(doing: Doing) -> Words:
    """Axes change places; strides go with them."""
    before = doing.tensors[0]
    if not isinstance(doing.result, Tensor):
        return Words("")
    if tuple(doing.result.shape) == tuple(before.shape) and doing.result.stride() == before.stride():
        few = (
            f"a tensor of rank {before.dim()} has no two axes to change"
            if before.dim() < 2
            else "each axis keeps its place"
        )
        return Words(f"nothing happened: {few}")
    moved = f"stride {before.stride()} becomes {doing.result.stride()}"
    if doing.operation == "permute" or (doing.operation in "TH" and before.dim() > 2):
        return Words(f"the axes are put in another order, no element moves: {moved}")
    return Words(f"two axes change places, no element moves: {moved}")


def permute_trouble(doing: Doing) -> Trouble | None:
    """Every axis must be named once."""
    given, n_axes = doing.sizes() or tuple(doing.named.get("dims", ())), doing.tensors[0].dim()
    if sorted(axis % n_axes if n_axes else axis for axis in given) == list(range(n_axes)):
        return None
    every = ", ".join(map(str, range(n_axes)))
    why = f"each of the {n_axes} axes ({every}) must be named once; named were {given}"
    return Trouble(why, (n_axes, len(given)))


def expand_words(doing: Doing) -> Words:
    """Sizes of 1 repeated by a stride of 0."""
    if isinstance(doing.result, Tensor) and doing.result.shape == doing.tensors[0].shape:
        return Words(f"nothing happened: the shape was {shape_words(tuple(doing.result.shape))} already")
    return Words("axes of size 1, and new axes in front, are repeated without a copy: their stride is 0")


def expand_trouble(doing: Doing) -> Trouble | None:
    """An axis that is not 1 cannot be repeated."""
    shape, wanted = tuple(doing.tensors[0].shape), _wanted(doing)
    if len(wanted) < len(shape):
        why = f"the tensor has {len(shape)} axes, and {len(wanted)} sizes were given; new axes come in front only"
        return Trouble(why, (len(shape), len(wanted)))
    for back, size in enumerate(reversed(shape), 1):
        if wanted[-back] not in (-1, size) and size != 1:
            why = f"only an axis of size 1 can be expanded; axis {-back} has {size}, and {wanted[-back]} is wanted"
            if size and wanted[-back] > 0 and wanted[-back] % size == 0:
                why += "; repeat copies larger ones"
            return Trouble(why, (size, wanted[-back]))
    return None


def squeeze_words(doing: Doing) -> Words:
    """Axes of size 1 come or go; which went, and which stayed because they are larger."""
    if doing.operation == "unsqueeze":
        return Words(f"a new axis of size 1 at place {doing.get('dim', 1)}")
    shape = tuple(doing.tensors[0].shape)
    asked = _asked(doing.get("dim", 1), shape)
    gone = [axis for axis in asked if shape[axis] == 1]
    kept = (
        [axis for axis in asked if shape[axis] != 1]
        if len(asked) < len(shape) or doing.get("dim", 1) is not None
        else []
    )
    if not gone and not kept:
        return Words(f"nothing happened: no axis has size 1 ({shape_words(shape)})")
    sizes = " and ".join(f"axis {axis} has size {shape[axis]}" for axis in kept)
    if not gone:
        return Words(f"nothing happened: {sizes}, and only an axis of size 1 can go")
    names = " and ".join(map(str, gone))
    told = f"axis {names}, of size 1, goes" if len(gone) == 1 else f"axes {names}, of size 1, go"
    return Words(f"{told}; {sizes} and stays" if kept else f"{told}; no element moves")


def _asked(axes: Any, shape: tuple[int, ...]) -> list[int]:
    """The axes that squeeze is to remove, from 0."""
    if axes is None:
        return list(range(len(shape)))
    given = axes if isinstance(axes, tuple | list) else (axes,)
    return [axis % len(shape) for axis in given if isinstance(axis, int)] if shape else []


def cat_words(doing: Doing) -> Words:
    """Sizes add up along one axis."""
    axis = doing.get("dim", 1, 0)
    sizes = [one.shape[axis] for one in doing.tensors if one.dim()]
    return Words(f"put together along axis {axis}: {' + '.join(map(str, sizes))} = {sum(sizes)}; other sizes are equal")


def cat_trouble(doing: Doing) -> Trouble | None:
    """Sizes off the joined axis that differ."""
    shapes = [tuple(one.shape) for one in doing.tensors]
    axis = doing.get("dim", 1, 0)
    if len(shapes) < 2 or not isinstance(axis, int):
        return None
    ranks = [len(shape) for shape in shapes if shape != (0,)]
    if len(set(ranks)) > 1:
        return Trouble(f"all must have the same number of axes: {', '.join(map(str, ranks))}", (min(ranks), max(ranks)))
    for place, shape in enumerate(shapes[1:], 2):
        for at, (m, n) in enumerate(zip(shapes[0], shape, strict=False)):
            if m != n and at != axis % len(shape):
                why = f"axis {at} has {m} in tensor 1 and {n} in tensor {place}"
                return Trouble(f"sizes but those along axis {axis} must be equal; {why}", (m, n))
    return None


def stack_words(doing: Doing) -> Words:
    """A new axis counts the tensors."""
    return Words(f"{len(doing.tensors)} tensors of one shape along a new axis {doing.get('dim', 1, 0)}")


def stack_trouble(doing: Doing) -> Trouble | None:
    """All shapes must be equal."""
    first = tuple(doing.tensors[0].shape) if doing.tensors else ()
    for place, one in enumerate(doing.tensors[1:], 2):
        if tuple(one.shape) != first:
            told = f"{shape_words(first)} in tensor 1, {shape_words(tuple(one.shape))} in tensor {place}"
            pairs = zip(first, one.shape, strict=False)
            different = next(((m, n) for m, n in pairs if m != n), (len(first), one.dim()))
            return Trouble(f"stack needs equal shapes: {told}", different)
    return None


def index_words(doing: Doing) -> Words:
    """What each part of the index does to its axis."""
    told, axis = [], 0
    parts = _parts(doing.arguments[1])
    shape = tuple(doing.tensors[0].shape)
    for place, part in enumerate(parts, 1):
        if part is Ellipsis:
            axis = len(shape) - sum(_axes_taken(one) for one in parts[place:])
            told.append("… keeps the axes between")
        elif part is None:
            told.append("None adds an axis of size 1")
        elif isinstance(part, Tensor) and part.dtype == torch.bool:
            told.append(f"a mask of {shape_words(tuple(part.shape))} keeps the {int(part.sum())} places that are True")
        elif isinstance(part, slice):
            kept = len(range(*part.indices(shape[axis])))
            if part != slice(None):
                told.append(f"axis {axis} keeps {kept} of {shape[axis]}")
        elif isinstance(part, int):
            told.append(f"axis {axis} goes: its element {part}")
        else:
            n = shape_words(tuple(part.shape)) if isinstance(part, Tensor) else str(len(part))
            told.append(f"axis {axis} is picked from by {n} indices, into a copy")
        axis += 0 if part is Ellipsis else _axes_taken(part)
    return Words("; ".join(told) or "all elements")


def index_trouble(doing: Doing) -> Trouble | None:
    """Too many indices, or one beyond its axis."""
    if not doing.tensors or not isinstance(doing.arguments[0], Tensor):
        return None
    shape, parts = tuple(doing.arguments[0].shape), _parts(doing.arguments[1])
    taken = sum(_axes_taken(part) for part in parts)
    if taken > len(shape):
        return Trouble(f"{taken} indices for {len(shape)} axes ({shape_words(shape)})", (taken, len(shape)))
    axis = 0
    for place, part in enumerate(parts):
        if part is Ellipsis:
            axis = len(shape) - sum(_axes_taken(one) for one in parts[place + 1 :])
            continue
        if isinstance(part, Tensor) and part.dtype == torch.bool:
            mask, masked = tuple(part.shape), shape[axis : axis + part.dim()]
            if mask != masked:
                return Trouble(f"a mask has the shape of what it masks: {shape_words(mask)} on {shape_words(masked)}")
        elif isinstance(part, int) and not -shape[axis] <= part < shape[axis]:
            size = shape[axis]
            there = f"0 to {size - 1}, or -{size} to -1 from the end" if size else "none: it is empty"
            return Trouble(f"index {part} is beyond axis {axis} of size {size}; allowed are {there}", (part, size))
        if isinstance(part, Tensor) and part.is_floating_point():
            return Trouble(f"indices are integers or truth values, and these are {dtype_name(part.dtype)}")
        axis += _axes_taken(part)
    return None


def _parts(index: Any) -> list[Any]:
    return list(index) if isinstance(index, tuple) else [index]


def _axes_taken(part: Any) -> int:
    if part is None or part is Ellipsis:
        return 0
    if isinstance(part, Tensor) and part.dtype == torch.bool:
        return part.dim()
    return 1


def _wanted(doing: Doing) -> tuple[int, ...]:
    if doing.operation.endswith("_as") and len(doing.tensors) > 1:
        return tuple(doing.tensors[1].shape)
    return doing.sizes()


def _product(shape: tuple[int, ...]) -> str:
    return f"{_dots(shape)} = {math.prod(shape)}" if len(shape) > 1 else _dots(shape)


def _dots(shape: tuple[int, ...]) -> str:
    return "·".join(map(str, shape)) or "1"
