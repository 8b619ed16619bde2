"""Tensors as one writes them on a command line: a shape, numbers in brackets, or an expression."""

import ast
import math
import re
from typing import Any

import torch
from torch import Tensor

from chainrule.base import LensError, nearest
from chainrule.lens.expressions.evaluate import MOST_BYTES
from chainrule.lens.expressions.explanation import explain
from chainrule.lens.expressions.names import DTYPES

SHAPE = re.compile(r"\(\)|\d+(x\d+)*")
NUMBERS = {"nan": math.nan, "inf": math.inf}


def written_tensor(text: str) -> Tensor:
    """`2x3` counts 0 to 5 in that shape, `5` is a vector, `()` a scalar; `[[1, 2], [3, 4]]` are the numbers themselves.

    `:float64` behind either sets the dtype, which is else float32 for a shape and Python's own for numbers. All else
    is an expression without names, such as `torch.randn(3, 4).T` (the same random numbers each time); `nan` and `inf`
    are numbers. Raises LensError for what is none of these.
    """
    body, dtype = _without_dtype(text.strip())
    if SHAPE.fullmatch(body):
        return _counting(tuple(int(size) for size in re.findall(r"\d+", body)), dtype or torch.float32)
    found = _numbers(body) if body.startswith(("[", "(")) and ".t" not in body else evaluated(body)
    if not isinstance(found, Tensor):
        try:
            return torch.tensor(found, dtype=dtype)
        except (TypeError, ValueError, RuntimeError) as fault:
            raise LensError(f"{text!r} is no tensor: {str(fault).splitlines()[0]}") from fault
    return found if dtype is None else found.to(dtype)


def evaluated(text: str) -> Any:
    """The value of an expression without tensors' names; raises LensError when it breaks."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        found = explain(text, **NUMBERS)
    if found.broken is not None:
        raise LensError(f"{text!r} breaks at {found.broken.source!r}: {found.broken.why}")
    return found.value


def _numbers(text: str) -> Any:
    """Nested lists; what is no list of numbers is tried as an expression."""
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        return evaluated(text)


def _without_dtype(text: str) -> tuple[str, torch.dtype | None]:
    """The text before `:float64`, and that dtype; a colon inside brackets is a slice's."""
    body, colon, name = text.rpartition(":")
    if not colon or not name.replace("_", "").isalnum() or name.isdigit():
        return text, None
    if name not in DTYPES:
        raise LensError(f"{name!r} is no dtype.{nearest(name, DTYPES)} Known are {', '.join(sorted(DTYPES))}")
    return body, getattr(torch, name)


def _counting(shape: tuple[int, ...], dtype: torch.dtype) -> Tensor:
    n = math.prod(shape)
    if n * 8 > MOST_BYTES:
        raise LensError(
            f"a tensor of {n:,} elements is more than explain takes; the shapes of a small one say the same"
        )
    counted = torch.arange(n)
    return (counted % 2 if dtype == torch.bool else counted).to(dtype).reshape(shape)
