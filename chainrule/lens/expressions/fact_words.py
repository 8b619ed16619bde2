"""What is asked about a tensor instead of computed with it: rank, shape, dtype, sizes, in the field's words."""

import math

import numpy as np
import torch

from chainrule.lens.expressions.steps import Doing, Words
from chainrule.lens.tensors import dtype_words, rank_name, shape_words

COUNTED = ("numel", "nelement")


def fact_words(doing: Doing) -> Words:
    """What the fact is, and how it comes from the shape."""
    one = doing.arguments[0]
    shape = tuple(one.shape)
    known = {
        "ndim": _rank,
        "dim": _rank,
        "ndimension": _rank,
        "shape": _shape,
        "size": _shape,
        "len": _length,
        "numel": _count,
        "nelement": _count,
    }
    if doing.operation in known and (doing.operation != "size" or len(doing.arguments) == 1):
        return Words(known[doing.operation](shape))
    if doing.operation == "dtype":
        return Words(f"the number type of each element: {_dtype(one)}")
    return Words(OTHERS.get(doing.operation, ""))


OTHERS = {
    "size": "how many places that axis has",
    "device": "where its memory is: cpu, or an accelerator such as cuda:0",
    "requires_grad": "whether autograd keeps account of what is computed from it",
    "is_leaf": "whether it was not computed from what autograd keeps account of: only leaves get a .grad",
    "itemsize": "bytes of one element",
    "element_size": "bytes of one element",
    "nbytes": "bytes of all elements: their number times the bytes of one",
    "layout": "strided: one block of memory that shape and strides are read into",
    "stride": "for each axis how many elements lie from one place of it to the next in memory",
    "storage_offset": "how many elements of the memory lie before its first",
    "is_contiguous": "whether its elements lie row by row, without gaps",
    "is_floating_point": "whether its number type is one of the floats",
    "is_complex": "whether its number type is complex",
}


def _rank(shape: tuple[int, ...]) -> str:
    n = len(shape)
    return (
        f"the rank: how many axes it has, the length of the shape ({shape_words(shape)}): {n}, {rank_name(shape)}. "
        "The rank of a matrix in linear algebra is torch.linalg.matrix_rank"
    )


def _shape(shape: tuple[int, ...]) -> str:
    if not shape:
        return "no axis: a scalar, one element"
    axes = ", ".join(f"axis {axis} has {size}" for axis, size in enumerate(shape))
    return f"a size for each axis, the outermost first: {axes}; {_product(shape)} elements"


def _product(shape: tuple[int, ...]) -> str:
    whole = f"{math.prod(shape):,}"
    return f"{'·'.join(map(str, shape))} = {whole}" if len(shape) > 1 else whole


def _length(shape: tuple[int, ...]) -> str:
    return f"the size of axis 0 alone, not the number of elements ({_product(shape)}) and not the rank ({len(shape)})"


def _count(shape: tuple[int, ...]) -> str:
    return f"the number of elements, the product of the shape: {_product(shape) if shape else '1, a scalar'}"


def _dtype(one: object) -> str:
    if isinstance(one, np.ndarray):
        return f"NumPy's {one.dtype}"
    return dtype_words(one.dtype) if isinstance(one, torch.Tensor) else ""
