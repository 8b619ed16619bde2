"""Subclasses of Tensor: those that hold another tensor and answer operations themselves, and those that only rename.

Of the first, autograd goes on outside and operations happen inside; so what such a tensor wraps is verified in its
place, and the program with it is held against that.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor

from chainrule.base import LensError


@contextmanager
def as_plain_tensors() -> Iterator[None]:
    """Inside, subclasses do not have their say (`__torch_function__`): for arithmetic that is not the program's."""
    with torch._C.DisableTorchFunctionSubclass():
        yield


def is_wrapper(tensor: Tensor) -> bool:
    """Whether operations on it are answered by its class and not by torch."""
    return type(tensor).__torch_dispatch__ is not torch._C._disabled_torch_dispatch_impl


def inner_of(tensor: Tensor) -> Tensor:
    """The plain tensor inside, however often it is wrapped; a plain one is itself.

    Raises LensError where there is not exactly one of the same shape.
    """
    while is_wrapper(tensor):
        inner = [getattr(tensor, name) for name in _parts(tensor)]
        if len(inner) != 1 or inner[0].shape != tensor.shape or inner[0].dtype != tensor.dtype:
            held = ", ".join(f"{list(one.shape)} {one.dtype}" for one in inner) or "nothing that it names"
            raise LensError(
                f"a tensor of shape {list(tensor.shape)} is a {type(tensor).__name__}, which answers operations itself "
                f"and holds {held}; only a class that wraps one tensor of the same shape and format can be verified by "
                "it. Verify the program with what it computes from, or a step as it runs without it"
            )
        tensor = inner[0]
    return tensor


def wrapped_like(tensor: Tensor, inner: Tensor) -> Tensor:
    """Another tensor inside the same classes."""
    if not is_wrapper(tensor):
        return inner
    (name,) = _parts(tensor)
    inside = wrapped_like(getattr(tensor, name), inner)
    _, context = tensor.__tensor_flatten__()  # type: ignore[attr-defined]
    made: Tensor = type(tensor).__tensor_unflatten__({name: inside}, context, inner.size(), inner.stride())  # type: ignore[attr-defined]
    return made


def _parts(tensor: Tensor) -> list[str]:
    """The attributes in which it says that it holds tensors."""
    flatten = getattr(tensor, "__tensor_flatten__", None)
    return [] if flatten is None else list(flatten()[0])
