"""The loss with everything that the program computes in narrower formats computed in float64, for differences.

A program that casts to float32 rounds its loss to seven digits, and a difference of such losses shows two. Its
derivative is that of the same program in float64, but for what rounding explains in the engines anyway.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map

NARROW = (torch.float32, torch.bfloat16, torch.float16)


class Widened:
    """Another loss, run wide."""

    def __init__(self, forward: Callable[[], float]) -> None:
        self.forward = forward

    def __call__(self) -> float:
        """One more run."""
        with _Wide():  # type: ignore[no-untyped-call]
            return self.forward()


class _Wide(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Every cast to a narrower format becomes one to float64, and what meets float64 is widened."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if func.overloadpacket is torch.ops.aten.view:  # as another format: the bits stay
            return func(*args, **kwargs)
        args, kwargs = tree_map(_wide_format, (args, kwargs))
        given = [one for one in tree_leaves((args, kwargs)) if isinstance(one, Tensor)]
        written = any(one.alias_info is not None and one.alias_info.is_write for one in func._schema.arguments)
        if not written and any(one.dtype == torch.float64 for one in given):
            args, kwargs = tree_map(_wide_tensor, (args, kwargs))
        return func(*args, **kwargs)


def _wide_format(one: Any) -> Any:
    return torch.float64 if isinstance(one, torch.dtype) and one in NARROW else one


def _wide_tensor(one: Any) -> Any:
    return one.double() if isinstance(one, Tensor) and one.dtype in NARROW else one
