"""Numbers that do not fit their type: integers that wrap around, floats that become infinite, and new NaNs."""

from typing import Any

import torch
from torch import Tensor

from chainrule.lens.expressions.names import CONVERSIONS
from chainrule.lens.expressions.steps import Doing, flat
from chainrule.lens.tensors import dtype_name

# What can leave the range of whole numbers; it is done again in float64, which has room.
ARITHMETIC = frozenset(
    (
        *("add", "sub", "subtract", "mul", "multiply", "neg", "negative", "abs", "absolute", "pow", "square", "sum"),
        *("prod", "cumsum", "cumprod", "matmul", "mm", "bmm", "mv", "dot", "inner", "addmm", "bitwise_left_shift"),
        *("floor_divide", "diff", "outer", "addcmul"),
    )
)
GROWING = ARITHMETIC | {"exp", "exp2", "expm1", "sinh", "cosh", "logit", "norm", "linear", "einsum", "lerp"}
MOST = 2**18


def range_said(doing: Doing) -> str:
    """A sentence on results that wrapped around or are not finite; empty where all is as in mathematics."""
    result = next((one for one in flat(doing.result) if isinstance(one, Tensor)), None)
    if result is None or result.is_meta or not 0 < result.numel() <= MOST or result.layout is not torch.strided:
        return ""
    if any(one.is_meta or one.numel() > MOST for one in doing.tensors):
        return ""
    if result.is_floating_point():
        return _not_finite(doing, result)
    return "" if result.is_complex() or result.dtype == torch.bool else _wrapped(doing, result)


def _wrapped(doing: Doing, result: Tensor) -> str:
    exact = _exactly(doing)
    if exact is None or exact.shape != result.shape:
        return ""
    kind, limits = dtype_name(result.dtype), torch.iinfo(result.dtype)
    # float64 knows no 2⁶³ − 1 but 2⁶³: there a result that is far from the exact one has wrapped around.
    far = (result.to(torch.float64) - exact).abs() > 2.0**62
    beyond = (exact < limits.min) | (exact > limits.max) | exact.isnan() | far
    n = int(beyond.sum())
    if not n:
        return ""
    value, became = float(exact[beyond].flatten()[0]), int(result[beyond].flatten()[0])
    shown = f"{value:.0f}" if abs(value) < 1e15 else f"{value:.3g}"
    happens = (
        "is undefined" if doing.operation in CONVERSIONS and doing.tensors[0].is_floating_point() else "wraps around"
    )
    wider = {torch.int8: "int16", torch.uint8: "int16", torch.int16: "int32", torch.int32: "int64"}.get(result.dtype)
    remedy = f"; .to(torch.{wider}) first has room" if wider and doing.operation not in CONVERSIONS else ""
    return (
        f"{n} of {result.numel()} do not fit {kind} ({limits.min:,} to {limits.max:,}), which {happens}: "
        f"{shown} became {became}{remedy}"
    )


def _exactly(doing: Doing) -> Tensor | None:
    """The same in float64; None for what is no arithmetic."""
    one = doing.tensors[0] if doing.tensors else None
    if one is None:
        return None
    if doing.operation in CONVERSIONS:
        return one.detach().to(torch.float64).trunc()
    if doing.operation not in ARITHMETIC:
        return None
    if doing.operation == "bitwise_left_shift":
        left, right = (_wide(argument) for argument in doing.arguments)
        return left * 2.0**right
    function = getattr(torch, doing.operation)
    named = {name: _wide(value) for name, value in doing.named.items() if name != "dtype"}
    try:
        found = function(*(_wide(argument) for argument in doing.arguments), **named)
    except (RuntimeError, TypeError):  # not said of it then
        return None
    return found if isinstance(found, Tensor) else None


def _wide(value: Any) -> Any:
    if isinstance(value, Tensor):
        return value.detach().to(torch.float64)
    return value


def _not_finite(doing: Doing, result: Tensor) -> str:
    """What became infinite or NaN although everything that went in was finite."""
    floats = [one for one in doing.tensors if one.is_floating_point() or one.is_complex()]
    plain = [one for one in flat((doing.arguments, tuple(doing.named.values()))) if isinstance(one, float)]
    if not all(bool(one.isfinite().all()) for one in floats) or not all(torch.isfinite(torch.tensor(p)) for p in plain):
        return ""
    if doing.operation in ("full", "full_like", "masked_fill") or not doing.tensors:
        return ""
    n_inf, n_nan = int(result.isinf().sum()), int(result.isnan().sum())
    told = []
    if n_inf:
        ends = f" ({dtype_name(result.dtype)} ends at {torch.finfo(result.dtype).max:.3g})"
        grows = doing.operation in GROWING | CONVERSIONS
        told.append(f"{n_inf} of {result.numel()} became infinite{ends if grows else ''}")
    if n_nan:
        told.append(f"{n_nan} of {result.numel()} became NaN")
    return "; ".join(told)
