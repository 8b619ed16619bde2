"""What a program is told of its number format when it runs in another: `torch.finfo`, of the one it was written for."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, finfo

WIDE = (torch.float64, torch.complex128)


def format_of(weights: Iterable[Tensor]) -> torch.dtype:
    """The real number format of all of them; float64 where they have several."""
    found = {one.dtype.to_real() for one in weights if one.is_floating_point() or one.is_complex()}
    return found.pop() if len(found) == 1 else torch.float64


class _Asking(type):
    """What is asked is `torch.finfo` itself; results are instances of that."""

    def __call__(cls, asked: torch.dtype | None = None) -> finfo:
        asked = torch.get_default_dtype() if asked is None else asked
        return finfo(told_format[-1] if told_format and asked in WIDE else asked)

    def __instancecheck__(cls, one: object) -> bool:
        return isinstance(one, finfo)


class _Told(metaclass=_Asking):
    """Stands in for `torch.finfo`.

    A module that is loaded meanwhile keeps it (the compiler has `torch.finfo` in a set of types), so it is a class, and
    when nobody is told anything it answers as `torch.finfo` does.
    """


told_format: list[torch.dtype] = []
"""The formats whose limits are told, the last one now."""


@contextmanager
def limits_of(dtype: torch.dtype) -> Iterator[None]:
    """Inside, who asks for the limits of float64 is told those of `dtype`.

    A mask of the smallest float32 is one of the smallest float64 in a copy, and twice that is no number any more.
    """
    before = torch.finfo
    told_format.append(dtype)
    torch.finfo = finfo if dtype in WIDE else _Told  # type: ignore[assignment, misc]
    try:
        yield
    finally:
        told_format.pop()
        torch.finfo = before  # type: ignore[misc]
