"""What is said of each operation: its rule when it works, its trouble when it does not. Plain dicts by name."""

import re
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from chainrule.lens.expressions import names
from chainrule.lens.expressions.broadcast import broadcast_trouble, broadcast_words, promotion
from chainrule.lens.expressions.fact_words import fact_words
from chainrule.lens.expressions.functional_words import (
    CLASSES,
    NORMS,
    attention_trouble,
    attention_words,
    bits_trouble,
    classes_trouble,
    embedding_trouble,
    embedding_words,
    groups_trouble,
    mask_trouble,
    norm_trouble,
    norm_words,
)
from chainrule.lens.expressions.numpy_words import IN, OUT, numpy_dtype, numpy_trouble, numpy_words, shared
from chainrule.lens.expressions.products import (
    einsum_trouble,
    einsum_words,
    linear_trouble,
    linear_words,
    product_trouble,
    product_words,
)
from chainrule.lens.expressions.sentences import SENTENCES
from chainrule.lens.expressions.shapes import (
    cat_trouble,
    cat_words,
    expand_trouble,
    expand_words,
    index_trouble,
    index_words,
    permute_trouble,
    squeeze_words,
    stack_trouble,
    stack_words,
    transpose_words,
    view_trouble,
    view_words,
)
from chainrule.lens.expressions.steps import Doing, Trouble, Words, flat
from chainrule.lens.expressions.value_words import (
    AXES,
    INDICES,
    axis_trouble,
    picking_trouble,
    probability_trouble,
    repeat_trouble,
    several_trouble,
)
from chainrule.lens.tensors import block, dtype_name, shape_words

Say = Callable[[Doing], Words]
Diagnose = Callable[[Doing], Trouble | None]


def along_words(doing: Doing) -> Words:
    """What a reduction, or a running operation, does to the axes."""
    one, axes = doing.tensors[0], _axes(doing)
    name = doing.operation
    if name in names.ALONG:
        return Words(f"{name} along axis {', '.join(map(str, axes))}; the shape stays" if axes else "the shape stays")
    if not axes:
        return Words(f"{name} over all {one.numel():,} elements: no axis is left")
    sizes = " and ".join(f"{axis} ({one.shape[axis]} elements)" for axis in axes)
    kept = "kept with size 1" if doing.get("keepdim", 99, False) else "gone from the shape"
    return Words(f"{name} along axis {sizes}, {kept}")


def conversion_words(doing: Doing) -> Words:
    """What a conversion changes."""
    before, after = doing.tensors[0], doing.result
    if not isinstance(after, Tensor):
        return Words("")
    if after is before:
        return Words("nothing to convert: it is the same tensor")
    changes = [f"{dtype_name(before.dtype)} → {dtype_name(after.dtype)}"] if before.dtype != after.dtype else []
    changes += [f"{before.device} → {after.device}"] if before.device != after.device else []
    lost = before.is_floating_point() and not (after.is_floating_point() or after.is_complex())
    return Words(
        f"{' and '.join(changes) or 'converted'}; the shape stays" + ("; fractions are cut off" if lost else "")
    )


def creation_words(doing: Doing) -> Words:
    """Made from numbers."""
    if doing.operation == "tensor" and isinstance(doing.result, Tensor):
        return Words(f"the numbers are copied; their kind gives {dtype_name(doing.result.dtype)}")
    return Words("a new tensor")


def dimension_trouble(doing: Doing) -> Trouble | None:
    """An axis that the tensor does not have."""
    one = doing.tensors[0] if doing.tensors else None
    for axis in _axes(doing, checked=False):
        if one is not None and not -max(1, one.dim()) <= axis < max(1, one.dim()):
            allowed = f"{-one.dim()} to {one.dim() - 1}" if one.dim() else "0 or -1"
            why = (
                f"there is no axis {axis}: a tensor of rank {one.dim()} ({shape_words(tuple(one.shape))}) has {allowed}"
            )
            return Trouble(why, (axis, one.dim()))
    return None


def reduction_trouble(doing: Doing) -> Trouble | None:
    """A missing axis, or a mean of integers."""
    found = dimension_trouble(doing)
    if found is None and doing.tensors and not (doing.tensors[0].is_floating_point() or doing.tensors[0].is_complex()):
        kind = dtype_name(doing.tensors[0].dtype)
        return Trouble(f"{doing.operation} has fractions as its result, and {kind} holds none")
    return found


def item_trouble(doing: Doing) -> Trouble | None:
    """A number is made of one element only."""
    n = doing.tensors[0].numel()
    return None if n == 1 else Trouble(f"a Python number is made of one element, and there are {n:,}", (n, 1))


def length_trouble(doing: Doing) -> Trouble | None:
    """A scalar has no axis to count."""
    return None if doing.tensors[0].dim() else Trouble("len counts the places of axis 0, and a scalar has no axis")


def either(*each: Diagnose) -> Diagnose:
    """The first trouble that is found."""

    def diagnose(doing: Doing) -> Trouble | None:
        return next((found for one in each if (found := one(doing)) is not None), None)

    return diagnose


FACTS = ("shape", "dtype", "device", "ndim", "requires_grad", "is_leaf", "itemsize", "nbytes", "layout")
FRACTIONS = ("mean", "std", "var", "norm", "softmax", "log_softmax", "median")
SAY: dict[str, Say] = {
    **SENTENCES,
    **dict.fromkeys((*names.FACTS - {"item"}, *FACTS, "len"), fact_words),
    **dict.fromkeys((*OUT, *IN, "tolist"), numpy_words),
    **dict.fromkeys(NORMS, norm_words),
    "embedding": embedding_words,
    "scaled_dot_product_attention": attention_words,
    **dict.fromkeys(names.POINTWISE | {"gelu", "silu", "elu", "leaky_relu", "softplus", "dropout"}, broadcast_words),
    **dict.fromkeys(names.BROADCAST, broadcast_words),
    **dict.fromkeys(names.PRODUCTS - {"inner"}, product_words),
    **dict.fromkeys(names.REDUCTIONS | names.ALONG, along_words),
    **dict.fromkeys(names.CONVERSIONS, conversion_words),
    **dict.fromkeys(names.CREATION, creation_words),
    **dict.fromkeys(("view", "reshape", "view_as", "reshape_as", "flatten", "unflatten", "ravel"), view_words),
    **dict.fromkeys(("T", "mT", "H", "mH", "t", "transpose", "swapaxes", "swapdims", "permute"), transpose_words),
    **dict.fromkeys(("movedim", "moveaxis", "adjoint"), transpose_words),
    **dict.fromkeys(("expand", "expand_as", "broadcast_to"), expand_words),
    **dict.fromkeys(("squeeze", "unsqueeze"), squeeze_words),
    **dict.fromkeys(("cat", "concat", "concatenate"), cat_words),
    "stack": stack_words,
    "linear": linear_words,
    "einsum": einsum_words,
    "index": index_words,
    "contiguous": lambda doing: Words("the same numbers in row-major order"),
    "clone": lambda doing: Words("the same numbers in memory of their own"),
    "detach": lambda doing: Words("the same memory, cut off from autograd"),
    "item": lambda doing: Words("one element becomes a Python number, cut off from autograd"),
}
DIAGNOSE: dict[str, Diagnose] = {
    **dict.fromkeys(names.BROADCAST, either(several_trouble, broadcast_trouble)),
    **dict.fromkeys(("mse_loss", "l1_loss", "huber_loss", "smooth_l1_loss"), broadcast_trouble),
    **dict.fromkeys(names.PRODUCTS, product_trouble),
    **dict.fromkeys(names.REDUCTIONS | names.ALONG, dimension_trouble),
    **dict.fromkeys(FRACTIONS, reduction_trouble),
    **dict.fromkeys(("transpose", "swapaxes", "swapdims", "squeeze", "movedim", "moveaxis"), dimension_trouble),
    **dict.fromkeys(("view", "reshape", "view_as", "reshape_as"), view_trouble),
    **dict.fromkeys(("expand", "expand_as", "broadcast_to"), expand_trouble),
    **dict.fromkeys(("cat", "concat", "concatenate"), cat_trouble),
    **dict.fromkeys(
        ("bitwise_and", "bitwise_or", "bitwise_xor", "bitwise_not"), either(bits_trouble, broadcast_trouble)
    ),
    **dict.fromkeys(AXES, axis_trouble),
    **dict.fromkeys(INDICES, picking_trouble),
    "binary_cross_entropy": probability_trouble,
    "repeat": repeat_trouble,
    **dict.fromkeys(OUT + IN, numpy_trouble),
    **dict.fromkeys(CLASSES, classes_trouble),
    **dict.fromkeys(NORMS, norm_trouble),
    "masked_fill": either(mask_trouble, broadcast_trouble),
    "masked_select": either(mask_trouble, broadcast_trouble),
    "group_norm": groups_trouble,
    "embedding": embedding_trouble,
    "len": length_trouble,
    "scaled_dot_product_attention": attention_trouble,
    "permute": permute_trouble,
    "stack": stack_trouble,
    "linear": linear_trouble,
    "einsum": einsum_trouble,
    "index": index_trouble,
    "item": item_trouble,
}
CAUSES = (
    (r"Boolean value of Tensor with more than one value", "a tensor of several elements has no single truth value"),
    (r"not implemented for '(\w+)'", r"torch does not do this with elements of type \1"),
    (
        r"Torch not compiled with CUDA|no NVIDIA driver|No CUDA GPUs",
        "there is no CUDA device here; leave the tensor on cpu",
    ),
    (
        r"Integers to negative integer powers",
        "an integer to a negative power is a fraction, which integers do not hold",
    ),
    (
        r"expected .* same dtype|must have the same dtype|expected scalar type",
        "the operands must be of one number type",
    ),
)


def said(doing: Doing) -> Words:
    """The rule of what was done; empty where there are no words for it."""
    say = SAY.get(doing.operation)
    alone = say in (creation_words, numpy_words, fact_words)
    return say(doing) if say is not None and (doing.tensors or alone) else Words("")


def diagnosed(doing: Doing, fault: BaseException) -> Trouble:
    """Why it broke, in our words where there are any, else in torch's."""
    diagnose = DIAGNOSE.get(doing.operation)
    found = diagnose(doing) if diagnose is not None and (doing.tensors or doing.operation in OUT + IN) else None
    if found is not None:
        return found
    message = str(fault).strip().split("\n")[0]
    for pattern, cause in CAUSES:
        match = re.search(pattern, message)
        if match:
            return Trouble(match.expand(cause))
    return Trouble(message or type(fault).__name__)


def dtype_said(doing: Doing) -> str:
    """How the number type of the result came to be; empty where it is that of the operands."""
    if doing.operation in OUT + IN:
        return numpy_dtype(doing)
    results = [one for one in flat(doing.result) if isinstance(one, Tensor)]
    if not results or not doing.tensors or doing.operation in names.CONVERSIONS:
        return ""
    if doing.operation in names.BROADCAST | names.PRODUCTS:
        return promotion(doing, results[0])
    before, after = doing.tensors[0].dtype, results[0].dtype
    if before == after or doing.operation in ("index", "embedding", "item"):
        return ""
    why = {"argmax": ": a place", "argmin": ": a place", "argsort": ": places"}.get(doing.operation, "")
    if doing.operation in ("sum", "prod", "cumsum", "cumprod") and after == torch.int64:
        why = ": sums of small integers are kept in int64, where they fit"
    return f"{dtype_name(before)} → {dtype_name(after)}{why}"


def memory_said(doing: Doing) -> str:
    """Whether the result is a view of an operand, the operand itself, or new memory."""
    if doing.operation in OUT + IN:
        other = next(
            (source for source, one in zip(doing.sources, doing.arguments, strict=False) if shared(one, doing.result)),
            "",
        )
        return f"shares the memory of {other}" if other else "new memory"
    results = [one for one in flat(doing.result) if isinstance(one, Tensor) and one.layout is torch.strided]
    if not results:
        return ""
    made = block("", results[0])
    for source, one in _with_sources(doing):
        if results[0] is one:
            return f"{source} itself"
        if one.layout is torch.strided and one.device == results[0].device and block("", one).start == made.start:
            return f"a view of {source}"
    return "new memory"


def _with_sources(doing: Doing) -> list[tuple[str, Tensor]]:
    pairs: list[tuple[str, Any]] = list(zip(doing.sources, doing.arguments, strict=False))
    return [(source, one) for source, value in pairs for one in flat(value) if isinstance(one, Tensor)]


def _axes(doing: Doing, *, checked: bool = True) -> list[int]:
    """The axes that a call names, as they were written; only those that exist when `checked`."""
    axes = doing.named.get("dim", doing.named.get("axis"))
    if axes is None and len(doing.arguments) > 1:
        axes = doing.arguments[2 if doing.operation == "norm" and len(doing.arguments) > 2 else 1]
        if doing.operation in ("transpose", "swapaxes", "swapdims", "movedim", "moveaxis"):
            axes = doing.arguments[1:]
    found = [axis for axis in flat(axes) if isinstance(axis, int) and not isinstance(axis, bool)]
    n_axes = doing.tensors[0].dim() if doing.tensors else 0
    return [axis for axis in found if -n_axes <= axis < n_axes] if checked else found
