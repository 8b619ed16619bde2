"""The functions of torch.nn.functional: what they do to shapes, and why they break."""

import torch
from torch import Tensor

from chainrule.lens.expressions.steps import Doing, Trouble, Words
from chainrule.lens.expressions.wrong_programs import wrong_program
from chainrule.lens.tensors import dtype_name, shape_words

CLASSES = ("cross_entropy", "nll_loss")
NORMS = ("layer_norm", "rms_norm")


def attention_words(doing: Doing) -> Words:
    """softmax(Q Kᵀ/√d) V, with the sizes in it."""
    q, k, v = (tuple(one.shape) for one in doing.tensors[:3])
    told = f"softmax(Q·Kᵀ/√{q[-1]})·V: each of {q[-2]} queries weighs {k[-2]} values of width {v[-1]}"
    before = f"; the axes before, {shape_words(q[:-2])}, are batch and heads" if len(q) > 2 else ""
    if doing.get("is_causal", 5, False):
        before += "; query i sees keys 0 to i"
    return Words(told + before)


def attention_trouble(doing: Doing) -> Trouble | None:
    """What makes the call a wrong program, with the two sizes."""
    wrong = wrong_program(doing)
    if wrong is None:
        return None
    q, k, v = doing.tensors[:3]
    sizes = (k.shape[-2], v.shape[-2]) if k.shape[-2] != v.shape[-2] else (q.shape[-1], k.shape[-1])
    return Trouble(wrong, sizes)


def classes_trouble(doing: Doing) -> Trouble | None:
    """Targets are class numbers, one for each row, or probabilities of the scores' own shape."""
    scores, target = doing.get("input", 0), doing.get("target", 1)
    if not isinstance(scores, Tensor) or not isinstance(target, Tensor):
        return None
    shape, wanted = tuple(scores.shape), tuple(target.shape)
    axis = 0 if scores.dim() == 1 else 1
    rows = (*shape[:axis], *shape[axis + 1 :])
    if wanted == rows and target.dtype not in (torch.int64, torch.uint8):
        kind = dtype_name(target.dtype)
        why = f"one target for each row is a class number, a whole number (int64), and these are {kind}"
        return Trouble(why)
    if wanted not in (rows, shape):
        why = (
            f"for scores of {shape_words(shape)} the targets are class numbers of shape {shape_words(rows)}"
            + (f" or probabilities of {shape_words(shape)}" if doing.operation == "cross_entropy" else "")
            + f", and these are {shape_words(wanted)}"
        )
        return Trouble(why)
    n = shape[axis] if shape else 0
    if target.dtype in (torch.int64, torch.uint8) and target.numel() and not target.is_meta:
        low, high = int(target.min()), int(target.max())
        if high >= n or (low < 0 and low != doing.named.get("ignore_index", -100)):
            bad = high if high >= n else low
            return Trouble(f"class {bad} is none of the {n} of the scores: allowed are 0 to {n - 1}", (bad, n))
    return None


def norm_words(doing: Doing) -> Words:
    """Which elements are normalised together."""
    given = doing.get("normalized_shape", 1)
    shape = tuple(given) if isinstance(given, tuple | list) else (given,)
    what = "mean 0 and variance 1" if doing.operation == "layer_norm" else "mean square 1"
    return Words(f"the elements of the last {len(shape)} axes ({shape_words(shape)}) are brought to {what} together")


def norm_trouble(doing: Doing) -> Trouble | None:
    """The shape given is that of the last axes."""
    given, one = doing.get("normalized_shape", 1), doing.tensors[0]
    shape = tuple(one.shape)
    if isinstance(given, int):
        return Trouble(f"the shape that is normalised is a tuple: ({given},) and not {given}")
    wanted = tuple(given) if isinstance(given, tuple | list) else ()
    last = shape[len(shape) - len(wanted) :]
    if wanted and (last != wanted or len(wanted) > len(shape)):
        pair = next(((m, n) for m, n in zip(reversed(wanted), reversed(shape), strict=False) if m != n), None)
        why = (
            f"the shape given must be that of the last axes of x, {shape_words(last)} of {shape_words(shape)}, and is "
            f"{shape_words(wanted)}"
        )
        return Trouble(why, pair)
    for name, other in (("weight", doing.get("weight", 2)), ("bias", doing.get("bias", 3))):
        if isinstance(other, Tensor) and tuple(other.shape) != wanted:
            return Trouble(
                f"the {name} has the shape {shape_words(tuple(other.shape))}, and {shape_words(wanted)} is needed"
            )
    return None


def groups_trouble(doing: Doing) -> Trouble | None:
    """Channels must divide into the groups."""
    groups, one = doing.get("num_groups", 1), doing.tensors[0]
    if isinstance(groups, int) and one.dim() > 1 and (groups < 1 or one.shape[1] % groups):
        return Trouble(f"{one.shape[1]} channels (axis 1) do not divide into {groups} groups", (one.shape[1], groups))
    return None


def embedding_words(doing: Doing) -> Words:
    """A row for each id."""
    table = doing.get("weight", 1)
    return Words(f"each id is replaced by its row of the table: a new last axis of {table.shape[-1]}")


def embedding_trouble(doing: Doing) -> Trouble | None:
    """Ids are whole numbers below the number of rows."""
    ids, table = doing.get("input", 0), doing.get("weight", 1)
    if not isinstance(ids, Tensor) or not isinstance(table, Tensor) or table.dim() != 2:
        return None
    if ids.is_floating_point() or ids.is_complex():
        return Trouble(f"ids are whole numbers, and these are {dtype_name(ids.dtype)}")
    if ids.numel() and not ids.is_meta and not 0 <= int(ids.min()) <= int(ids.max()) < table.shape[0]:
        bad = int(ids.max()) if int(ids.max()) >= table.shape[0] else int(ids.min())
        why = f"id {bad} is none of the table's {table.shape[0]} rows: allowed are 0 to {table.shape[0] - 1}"
        return Trouble(why, (bad, table.shape[0]))
    return None


def mask_trouble(doing: Doing) -> Trouble | None:
    """A mask is of truth values."""
    mask = doing.get("mask", 1)
    if isinstance(mask, Tensor) and mask.dtype != torch.bool:
        why = f"a mask is of truth values (bool), and this one is {dtype_name(mask.dtype)}: compare, or .bool()"
        return Trouble(why)
    return None


def bits_trouble(doing: Doing) -> Trouble | None:
    """Bits are those of integers and truth values."""
    wrong = next((one for one in doing.tensors if one.is_floating_point() or one.is_complex()), None)
    sign = {"bitwise_and": "&", "bitwise_or": "|", "bitwise_xor": "^", "bitwise_not": "~"}.get(doing.operation)
    if wrong is None or sign is None:
        return None
    why = (
        f"{sign} works on truth values and on the bits of integers, and this is {dtype_name(wrong.dtype)}: compare "
        "first (x > 0), or .bool(), which is x != 0"
    )
    return Trouble(why)
