"""Between NumPy and torch: which way an array or a list is made of a tensor and back, and whether memory is shared."""

from typing import Any

import numpy as np
import torch
from torch import Tensor

from chainrule.lens.expressions.steps import Doing, Trouble, Words
from chainrule.lens.tensors import numpy_way

OUT = ("numpy", "array", "asarray")
IN = ("from_numpy", "as_tensor")


def numpy_words(doing: Doing) -> Words:
    """What came out on the other side."""
    given, made = doing.arguments[0], doing.result
    if isinstance(made, np.ndarray):
        if doing.operation == "numpy":
            return Words("a NumPy array over the same memory: a write to one is seen in the other")
        if doing.operation == "asarray" and isinstance(given, np.ndarray | Tensor) and shared(given, made):
            return Words("np.asarray copies only where it must: the same memory")
        return Words("np.array copies: the array has memory of its own")
    if isinstance(made, Tensor):
        if doing.operation == "from_numpy":
            return Words("a tensor over the array's memory: a write to one is seen in the other")
        same = isinstance(given, np.ndarray | Tensor) and shared(given, made)
        return Words(
            "as_tensor copies only where it must: the same memory" if same else "copied; from_numpy would share"
        )
    return Words("Python numbers in lists: copied, and cut off from autograd")


def numpy_dtype(doing: Doing) -> str:
    """Whether the number type stayed; NumPy's default differs from torch's."""
    made, given = doing.result, doing.arguments[0]
    if not isinstance(made, np.ndarray | Tensor):
        return ""
    name = str(made.dtype).removeprefix("torch.")
    if isinstance(given, np.ndarray | Tensor):
        before = str(given.dtype).removeprefix("torch.")
        told = f"{name}, as before" if before == name else f"{before} → {name}"
    else:
        told = f"Python's numbers become {name} here"
    if isinstance(made, Tensor) and made.dtype == torch.float64:
        told += "; NumPy's floats are float64 and torch's default is float32: .float() before a model of float32"
    return told


def numpy_trouble(doing: Doing) -> Trouble | None:
    """Why a tensor does not become an array: autograd, a device, or a number type that NumPy has not."""
    given = doing.arguments[0] if doing.arguments else None
    if doing.operation == "from_numpy":
        kind = "a tensor already" if isinstance(given, Tensor) else f"a {type(given).__name__}"
        other = "" if isinstance(given, Tensor) else "; torch.tensor copies numbers and lists"
        if isinstance(given, np.ndarray):
            return None
        return Trouble(f"from_numpy takes a NumPy array, and this is {kind}{other}")
    if not isinstance(given, Tensor) or doing.operation == "tolist":
        return None
    way = numpy_way(given)
    if way is None or not way.why:
        return None
    return Trouble(way.why)


def shared(one: Any, other: Any) -> bool:
    """Whether two tensors or arrays begin in the same memory."""
    first, second = address(one), address(other)
    return first is not None and first == second


def address(one: Any) -> int | None:
    """Where the first element lies; None for what has no memory here."""
    if isinstance(one, np.ndarray):
        return int(one.__array_interface__["data"][0])
    if isinstance(one, Tensor) and one.layout is torch.strided and not one.is_meta and one.device.type == "cpu":
        return one.data_ptr()
    return None
