"""Why an operation breaks on what it was given: numbers beyond its range, several results for one, too few repeats."""

import torch
from torch import Tensor

from chainrule.lens.expressions.steps import Doing, Trouble, flat
from chainrule.lens.tensors import dtype_name, shape_words

# Where the axis stands among the arguments, for operations that are no reductions.
AXES = {"flatten": (1, 2), "chunk": (2,), "split": (2,), "unbind": (1,), "select": (1,), "narrow": (1,)}
INDICES = {"gather": ("index", 2), "index_select": ("index", 2), "take": ("index", 1), "one_hot": ("input", 0)}


def probability_trouble(doing: Doing) -> Trouble | None:
    """Binary cross-entropy takes probabilities; scores have a function of their own."""
    given = doing.get("input", 0)
    if not isinstance(given, Tensor) or given.is_meta or not given.numel():
        return None
    low, high = float(given.min()), float(given.max())
    if low >= 0 and high <= 1:
        return None
    return Trouble(
        f"it takes probabilities, 0 to 1, and these go from {low:.4g} to {high:.4g}; for scores (logits) there is "
        "binary_cross_entropy_with_logits, and sigmoid makes probabilities of them"
    )


def repeat_trouble(doing: Doing) -> Trouble | None:
    """A number for each axis, at least."""
    one, times = doing.tensors[0], doing.sizes()
    if len(times) >= one.dim():
        return None
    return Trouble(
        f"repeat takes a number for each of the {one.dim()} axes of {shape_words(tuple(one.shape))}, and got "
        f"{len(times)}; 1 leaves an axis as it is",
        (len(times), one.dim()),
    )


def several_trouble(doing: Doing) -> Trouble | None:
    """An operation that gave several results (values and indices) stands where one tensor belongs."""
    for source, one in zip(doing.sources, doing.arguments, strict=False):
        if isinstance(one, tuple) and any(isinstance(part, Tensor) for part in flat(one)):
            return Trouble(f"{source} gives {len(one)} results, and one tensor is wanted: name the one that is meant")
    return None


def axis_trouble(doing: Doing) -> Trouble | None:
    """An axis that the tensor does not have."""
    one = doing.tensors[0]
    names = ("start_dim", "end_dim") if doing.operation == "flatten" else ("dim",)
    for name, place in zip(names, AXES[doing.operation], strict=False):
        axis = doing.get(name, place, 0)
        if isinstance(axis, int) and not -max(1, one.dim()) <= axis < max(1, one.dim()):
            allowed = f"{-one.dim()} to {one.dim() - 1}" if one.dim() else "0 or -1"
            shape = shape_words(tuple(one.shape))
            return Trouble(
                f"there is no axis {axis}: a tensor of rank {one.dim()} ({shape}) has {allowed}", (axis, one.dim())
            )
    return None


def picking_trouble(doing: Doing) -> Trouble | None:
    """An index is of whole numbers, and that of gather has the rank of what it picks from."""
    index, one = doing.get(*INDICES[doing.operation]), doing.tensors[0]
    if not isinstance(index, Tensor):
        return None
    if index.dtype not in (torch.int64, torch.int32):
        return Trouble(f"an index is of whole numbers (int64), and this one is {dtype_name(index.dtype)}")
    if doing.operation == "gather" and index.dim() != one.dim():
        return Trouble(
            f"the index of gather has as many axes as what it picks from, {one.dim()}, and this one has {index.dim()}",
            (index.dim(), one.dim()),
        )
    return None
