"""Operations for which one sentence is enough, most of them with a number in it."""

import math
from collections.abc import Callable

from torch import Tensor

from chainrule.lens.expressions.steps import Doing, Words, flat
from chainrule.lens.tensors import shape_words


def repeat_words(doing: Doing) -> Words:
    """Copies beside each other."""
    counts, before = doing.sizes(), tuple(doing.tensors[0].shape)
    if not counts or not isinstance(doing.result, Tensor):
        return Words("")
    new = len(counts) - len(before)
    told = "; ".join(
        f"axis {axis} "
        + (f"is new and counts {count} copies" if axis < new else f"of {before[axis - new]}, {count} times")
        for axis, count in enumerate(counts)
        if count != 1 or axis < new
    )
    return Words((told or "once along each axis") + ": the numbers are copied (expand repeats without a copy)")


def pieces_words(doing: Doing) -> Words:
    """How an axis was cut."""
    axis, parts = doing.get("dim", 2, 0), [one for one in flat(doing.result) if isinstance(one, Tensor)]
    if not isinstance(axis, int) or not parts or not parts[0].dim():
        return Words("")
    sizes = [one.shape[axis] for one in parts]
    whole = doing.tensors[0].shape[axis]
    told = f"axis {axis} of {whole} cut into {len(parts)}: {' + '.join(map(str, sizes[:8]))}{' …' if sizes[8:] else ''}"
    if doing.operation == "chunk":
        wanted = doing.get("chunks", 1)
        short = f"; {wanted} were asked for, and pieces of ⌈{whole}/{wanted}⌉ = {sizes[0]} make fewer"
        told += short if wanted != len(parts) else ""
    elif doing.operation == "split" and isinstance(doing.get("split_size", 1), int) and sizes[-1] != sizes[0]:
        told += "; the last is what is left"
    return Words(f"{told}; each is a view")


def strided_words(doing: Doing) -> Words:
    """Which elements of the memory are read."""
    size, stride = doing.get("size", 1, ()), doing.get("stride", 2, ())
    offset = doing.get("storage_offset", 3) or doing.tensors[0].storage_offset()
    if not isinstance(size, tuple | list) or not isinstance(stride, tuple | list):
        return Words("")
    index = " + ".join(f"{step}·{letter}" for step, letter in zip(stride, "ijklmn", strict=False)) or "0"
    places = [sum(step * (n - 1) for step, n in zip(stride, size, strict=False)) + 1 if all(size) else 0]
    overlap = math.prod(size) > places[0]
    return Words(
        f"the memory is read anew, whatever the shape was: element [{', '.join('ijklmn'[: len(size)])}] is number "
        f"{offset} + {index} of it" + ("; some elements are read more than once" if overlap else "")
    )


def unbind_words(doing: Doing) -> Words:
    """One view for each place of an axis."""
    axis = doing.get("dim", 1, 0)
    return Words(f"axis {axis} goes: a view for each of its {len(flat(doing.result))} places")


def gather_words(doing: Doing) -> Words:
    """The result has the shape of the index."""
    index = doing.get("index", 2)
    shape = shape_words(tuple(index.shape)) if isinstance(index, Tensor) else "?"
    return Words(
        f"along axis {doing.get('dim', 1)} each element is picked by its index: the shape is the index's, {shape}"
    )


def interleave_words(doing: Doing) -> Words:
    """Each element several times in a row."""
    return Words(f"each element {doing.get('repeats', 1)} times in a row (repeat puts whole copies beside each other)")


def narrow_words(doing: Doing) -> Words:
    """A stretch of one axis."""
    axis, start, length = doing.get("dim", 1), doing.get("start", 2), doing.get("length", 3)
    return Words(f"axis {axis} keeps {length} places from {start} on")


SENTENCES: dict[str, Callable[[Doing], Words]] = {
    **dict.fromkeys(("repeat", "tile"), repeat_words),
    **dict.fromkeys(("split", "chunk", "tensor_split"), pieces_words),
    "as_strided": strided_words,
    "unbind": unbind_words,
    "gather": gather_words,
    "take_along_dim": lambda doing: Words("along an axis each element is picked by its index"),
    "repeat_interleave": interleave_words,
    "narrow": narrow_words,
    "select": lambda doing: Words(f"axis {doing.get('dim', 1)} goes: its place {doing.get('index', 2)}"),
    "index_select": lambda doing: Words(f"axis {doing.get('dim', 1)} is picked from by indices, into a copy"),
    "masked_select": lambda doing: Words("what the mask lets through, as a vector: its length depends on the values"),
    "take": lambda doing: Words("elements by their number in row-major order; the shape is the index's"),
    "tril": lambda doing: Words("what is above the diagonal becomes 0"),
    "triu": lambda doing: Words("what is below the diagonal becomes 0"),
    "diag": lambda doing: Words("a vector becomes a diagonal matrix, a matrix gives its diagonal"),
    "diagonal": lambda doing: Words("two axes become one: their diagonal"),
    "one_hot": lambda doing: Words("each class number becomes a row of zeros with a 1 in its place"),
    "unfold": lambda doing: Words("windows that may overlap, as a new last axis"),
    "topk": lambda doing: Words("the largest, in order, and where they stand"),
    "nonzero": lambda doing: Words("the places that are not 0, one row for each: how many depends on the values"),
    "flip": lambda doing: Words("the order of these axes is turned round, into a copy"),
    "outer": lambda doing: Words("each element of one times each of the other"),
}
