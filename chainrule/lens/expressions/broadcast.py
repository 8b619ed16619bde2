"""Broadcasting: shapes aligned from the right, sizes of 1 stretched; and which number type wins."""

from collections.abc import Sequence

import torch
from torch import Tensor

from chainrule.lens.expressions.steps import Doing, Trouble, Words
from chainrule.lens.tensors import dtype_name

COMPARISONS = frozenset(
    ("eq", "ne", "lt", "le", "gt", "ge", "not_equal", "less", "less_equal", "greater", "greater_equal", "isclose")
)
KINDS = ("a truth value", "an integer", "a float", "a complex number")
LABEL = 24
# In `x * 2` and `x ** 2` nobody wonders.
QUIET_WITH_INTEGERS = frozenset(("add", "sub", "mul", "div", "pow", "subtract", "multiply", "divide", "true_divide"))
ROUNDED = {
    "floor_divide": ", rounded down (towards −∞)",
    "remainder": ", what is left of a division that is rounded down: its sign is the divisor's",
    "fmod": ", what is left of a division that is rounded towards 0: its sign is the dividend's",
}


def broadcast_words(doing: Doing) -> Words:
    """What broadcasting did: nothing, or a drawing of the columns."""
    shapes = [tuple(one.shape) for one in doing.tensors]
    rounded = ROUNDED.get(doing.operation, "")
    if len(shapes) < 2 or len(set(shapes)) == 1:
        return Words(f"element by element{rounded}; the shape stays")
    result = broadcast_shape(*shapes)
    rows = [*named_shapes(doing), ("result", result)]
    why = "element by element, aligned from the right: equal sizes go together, a 1 or a missing axis is repeated"
    return Words(why, columns(rows))


def broadcast_shape(*shapes: tuple[int, ...]) -> tuple[int, ...]:
    """The common shape of shapes that go together."""
    n_axes = max(map(len, shapes))
    full = [(1,) * (n_axes - len(shape)) + shape for shape in shapes]
    return tuple(next((size for size in sizes if size != 1), 1) for sizes in zip(*full, strict=True))


def broadcast_trouble(doing: Doing) -> Trouble | None:
    """The axis at which two shapes do not go together; None where they do."""
    rows = named_shapes(doing)
    for back in range(1, max((len(shape) for _, shape in rows), default=0) + 1):
        known: tuple[str, int] | None = None
        for name, shape in rows:
            size = shape[-back] if back <= len(shape) else 1
            if size == 1:
                continue
            if known is not None and size != known[1]:
                why = (
                    f"aligned from the right, axis {-back} has size {known[1]} in {known[0]} and {size} in {name}; "
                    "sizes must be equal, or one of them 1"
                )
                return Trouble(why, (known[1], size), columns(rows, back))
            known = known or (name, size)
    return None


def named_shapes(doing: Doing) -> list[tuple[str, tuple[int, ...]]]:
    """(text, shape) of each tensor that takes part."""
    pairs = zip(doing.sources, doing.arguments, strict=False)
    found = [(source, tuple(one.shape)) for source, one in pairs if isinstance(one, Tensor)]
    found += [(f"{name}=", tuple(one.shape)) for name, one in doing.named.items() if isinstance(one, Tensor)]
    return found


def columns(rows: Sequence[tuple[str, tuple[int, ...]]], wrong: int | None = None) -> tuple[str, ...]:
    """Shapes below each other, aligned from the right; `wrong` marks a column, counted from the right."""
    n_axes = max((len(shape) for _, shape in rows), default=0)
    label = min(LABEL, max((len(name) for name, _ in rows), default=0))
    width = max((len(str(size)) for _, shape in rows for size in shape), default=1)
    lines = []
    for name, shape in rows:
        cells = [""] * (n_axes - len(shape)) + [str(size) for size in shape]
        shown = name if len(name) <= label else name[: label - 1] + "…"
        lines.append(f"{shown:<{label}}  {'  '.join(f'{cell:>{width}}' for cell in cells)}".rstrip())
    if wrong is not None:
        before = label + 2 + (n_axes - wrong) * (width + 2)
        lines.append(" " * before + "^" * width)
    return tuple(lines)


def promotion(doing: Doing, result: Tensor) -> str:
    """Which number type won and why; empty where all were alike already."""
    numbers = [one for one in doing.arguments if isinstance(one, int | float | complex)]
    dtypes = list(dict.fromkeys(one.dtype for one in doing.tensors))
    made, names = dtype_name(result.dtype), " and ".join(map(dtype_name, dtypes))
    if doing.operation in COMPARISONS:
        return f"{names} compared give bool" if result.dtype == torch.bool else ""
    if dtypes == [result.dtype]:
        return _stays(doing, numbers, result.dtype)
    if doing.operation in ("div", "divide", "true_divide") and not any(map(_has_fractions, dtypes)):
        if result.dtype == torch.get_default_dtype():
            return f"true division of {names} leaves the integers: {made}, the default dtype"
        return f"true division of {names} gives {made}"
    if len(dtypes) == 1:
        if numbers and _kind(dtypes[0]) < max(map(_number_kind, numbers)):
            return f"a Python {type(numbers[0]).__name__} beside {names} gives {made}: {_article(result.dtype)} wins"
        return f"{names} → {made}"
    scalars = [one for one in doing.tensors if not one.dim()]
    if 0 < len(scalars) < len(doing.tensors) and any(one.dtype != result.dtype for one in scalars):
        weak = next(one for one in scalars if one.dtype != result.dtype)
        if _kind(weak.dtype) == _kind(result.dtype):
            return f"{names} → {made}: a tensor of rank 0 does not widen one with axes"
    if len({_kind(dtype) for dtype in dtypes}) > 1:
        return f"{names} → {made}: {_article(result.dtype)} wins"
    return f"{names} → {made}: the type that holds both"


def _stays(doing: Doing, numbers: Sequence[int | float | complex], dtype: torch.dtype) -> str:
    """Why a Python number of another kind, or a division that rounds, leaves the number type as it is."""
    name = dtype_name(dtype)
    if dtype == torch.bool and doing.operation in ("add", "mul", "multiply"):
        return f"truth values stay bool: {'+ is or' if doing.operation == 'add' else '* is and'}; .int() counts them"
    if doing.operation == "floor_divide":
        whole = "" if not _has_fractions(dtype) else ": whole numbers, as a float; .long() makes them integers"
        return f"// keeps the number type of its operands, {name}{whole}"
    other = next((one for one in numbers if _number_kind(one) < _kind(dtype)), None)
    if other is None or (type(other) is int and doing.operation in QUIET_WITH_INTEGERS):
        return ""
    value = f", {other} counting as {int(other)}" if isinstance(other, bool) else ""
    return f"a Python {type(other).__name__} takes the type of the tensor beside it{value}: {name} stays"


def _kind(dtype: torch.dtype) -> int:
    if dtype == torch.bool:
        return 0
    return 3 if dtype.is_complex else 2 if dtype.is_floating_point else 1


def _number_kind(number: object) -> int:
    return (bool, int, float, complex).index(type(number)) if type(number) in (bool, int, float, complex) else 0


def _article(dtype: torch.dtype) -> str:
    return KINDS[_kind(dtype)]


def _has_fractions(dtype: torch.dtype) -> bool:
    return dtype.is_floating_point or dtype.is_complex
