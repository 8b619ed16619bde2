"""A tensor's facts in the field's words: rank, how its dtype came to be, the way to NumPy, its place in autograd."""

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from chainrule.base import LensError

RANKS = ("scalar", "vector", "matrix")
DTYPES = {
    torch.bool: "what True, False and comparisons give",
    torch.uint8: "whole numbers 0 to 255: bytes, pixels of pictures; .byte()",
    torch.int8: "whole numbers -128 to 127; .char()",
    torch.int16: "whole numbers up to 32,767; .short()",
    torch.int32: "whole numbers up to 2,147,483,647; .int()",
    torch.int64: "what Python ints give; token ids and indices; .long()",
    torch.float16: "5 bits of exponent, 11 of precision, largest 65,504; .half()",
    torch.bfloat16: "the range of float32 with 8 bits of precision; .bfloat16() and autocast",
    torch.float32: "24 bits of precision, about 7 decimal digits; .float()",
    torch.float64: "53 bits of precision, about 16 decimal digits; what NumPy's floats give; .double()",
    torch.complex64: "two float32 each; what Python's complex numbers give",
    torch.complex128: "two float64 each; what NumPy's complex numbers give",
}
NUMPY_HAS_NOT = (torch.bfloat16, torch.float8_e4m3fn, torch.float8_e5m2, torch.float8_e4m3fnuz, torch.float8_e5m2fnuz)


@dataclass(frozen=True)
class NumpyWay:
    """The expression that makes it a NumPy array, whether both then share memory, and why it is not plain .numpy()."""

    call: str
    shared: bool
    why: str


@dataclass(frozen=True)
class Place:
    """A tensor's place in autograd. `version` counts writes in place; None in inference mode, where nobody counts."""

    requires_grad: bool
    leaf: bool
    grad_fn: str | None
    has_grad: bool
    version: int | None

    @property
    def words(self) -> str:
        """What that means for its gradient."""
        if not self.requires_grad:
            return "no gradient is computed for it"
        if not self.leaf:
            return f"a result: {self.grad_fn} passes its gradient on, and .grad stays empty unless .retain_grad()"
        return "a leaf: backward() adds its gradient to .grad" + (", which holds one now" if self.has_grad else "")


def rank_name(shape: tuple[int, ...]) -> str:
    """`a scalar`, `a vector`, `a matrix`, `a tensor of rank 3`."""
    return f"a {RANKS[len(shape)]}" if len(shape) < len(RANKS) else f"a tensor of rank {len(shape)}"


def shape_words(shape: tuple[int, ...]) -> str:
    """`2×3`; `()` for a scalar."""
    return "×".join(map(str, shape)) if shape else "()"


def dtype_name(dtype: torch.dtype) -> str:
    """`float32`."""
    return str(dtype).removeprefix("torch.")


def dtype_words(dtype: torch.dtype) -> str:
    """What the dtype is, and what gives it."""
    words = DTYPES.get(dtype, f".to({dtype})")
    default = "the default dtype, what Python floats give; " if dtype == torch.get_default_dtype() else ""
    return default + words


def autograd_place(tensor: Tensor) -> Place:
    """Where the tensor stands in autograd's graph."""
    grad_fn = tensor.grad_fn
    return Place(
        tensor.requires_grad,
        tensor.is_leaf,
        None if grad_fn is None else grad_fn.name(),
        tensor.is_leaf and tensor.grad is not None,
        None if tensor.is_inference() else tensor._version,
    )


def numpy_way(tensor: Tensor, name: str = "t") -> NumpyWay | None:
    """How to get the tensor called `name` into NumPy; None on `meta`, where there are no values."""
    if tensor.is_meta:
        return None
    call, why, shared = name if name.isidentifier() else "t", [], True
    if tensor.requires_grad:
        call, why = f"{call}.detach()", ["NumPy knows no gradients"]
    if tensor.device.type != "cpu":
        call, shared = f"{call}.cpu()", False
        why.append(f"NumPy cannot read the memory of {tensor.device}")
    if tensor.dtype in NUMPY_HAS_NOT:
        call, shared = f"{call}.float()", False
        why.append(f"NumPy has no {dtype_name(tensor.dtype)}")
    elif tensor.is_conj() or tensor.is_neg():
        call, shared = f"{call}.resolve_{'conj' if tensor.is_conj() else 'neg'}()", False
        why.append("NumPy has no bit for a conjugate or a sign that is not worked out yet")
    return NumpyWay(f"{call}.numpy()", shared, "; ".join(why))


def as_tensor(given: object) -> tuple[Tensor, str]:
    """A tensor of whatever was given, and in words how torch makes it. Raises LensError for what is no numbers."""
    if isinstance(given, Tensor):
        return given, ""
    if isinstance(given, np.ndarray):
        return _from_numpy(given)
    try:
        made = torch.tensor(given)
    except (TypeError, ValueError, RuntimeError) as fault:
        said = str(fault).splitlines()[0]
        raise LensError(
            f"a {type(given).__name__} does not become a tensor ({said}); give a tensor, a NumPy array, a number, or "
            "lists of numbers of equal length"
        ) from fault
    kind = _python_kind(given)
    return made, f"torch.tensor of {kind} gives {dtype_name(made.dtype)}; the numbers are copied"


def _from_numpy(array: np.ndarray) -> tuple[Tensor, str]:
    remedy = ""
    if any(step < 0 for step in array.strides):
        array, remedy = array.copy(), ", after a copy because torch has no negative strides"
    elif not array.flags.writeable:
        array, remedy = array.copy(), ", after a copy because the array is read-only"
    try:
        made = torch.from_numpy(array)
    except (TypeError, ValueError) as fault:
        raise LensError(
            f"torch has no dtype for a NumPy array of {array.dtype}; convert it first: array.astype('float32')"
        ) from fault
    memory = "memory is copied" if remedy else "memory is shared (torch.tensor would copy)"
    return made, f"torch.from_numpy keeps NumPy's {array.dtype}; {memory}{remedy}"


def _python_kind(given: object) -> str:
    """`a Python int`, `Python floats`, `Python ints and floats`, `nothing`, of what stands innermost in lists."""
    found: dict[str, None] = {}
    waiting = [given]
    while waiting:
        one = waiting.pop()
        if isinstance(one, list | tuple):
            waiting += reversed(one)
        else:
            found[type(one).__name__] = None
    names = [f"{name}s" for name in ("bool", "int", "float", "complex") if name in found]
    names += [name for name in found if name not in ("bool", "int", "float", "complex")]
    if not names:
        return "empty lists"
    if not isinstance(given, list | tuple):
        return f"a Python {names[0].removesuffix('s')}"
    return "Python " + " and ".join(names)


def number(value: float | int) -> str:
    """Five significant digits, or an int whole."""
    if isinstance(value, int):
        return f"{value:,}"
    return "-" if math.isnan(value) else f"{value:.5g}"
