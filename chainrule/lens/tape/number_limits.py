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


@contextmanager
def limits_of(dtype: torch.dtype) -> Iterator[None]:
    """Inside, who asks for the limits of float64 is told those of `dtype`.

    A mask of the smallest float32 is one of the smallest float64 in a copy, and twice that is no number any more.
    """

    def told(asked: torch.dtype | None = None) -> finfo:
        asked = torch.get_default_dtype() if asked is None else asked
        return finfo(dtype if asked in WIDE else asked)

    torch.finfo = finfo if dtype in WIDE else told  # type: ignore[assignment, misc]
    try:
        yield
    finally:
        torch.finfo = finfo  # type: ignore[misc]
