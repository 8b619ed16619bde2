"""Which windows of a text are scored, and which of their targets: each token once, with as much context as asked."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from chainrule.base import ConfigError, DataError


@dataclass(frozen=True)
class Windows:
    """Windows of `length` inputs; the targets of window i from `firsts[i]` up to `ends[i]` (positions) are counted."""

    length: int
    firsts: NDArray[np.int64]
    ends: NDArray[np.int64]


def windows_of(n_tokens: int, context_length: int, stride: int | None, max_tokens: int | None) -> Windows:
    """The windows over a store of `n_tokens`: they move by `stride`, and `max_tokens` thins them out evenly.

    Raises ConfigError for a stride or a number out of range, DataError when there is nothing to predict.
    """
    stride = context_length if stride is None else stride
    if not 1 <= stride <= context_length:
        raise ConfigError(f"stride={stride} is out of range; use 1 to context_length={context_length}")
    if max_tokens is not None and max_tokens < 1:
        raise ConfigError(f"max_tokens={max_tokens} scores nothing; use at least 1")
    if n_tokens < 2:
        raise DataError(f"a text of {n_tokens} tokens has nothing to predict; scoring needs at least 2")
    length = min(context_length, n_tokens - 1)
    count = 1 + -(-(n_tokens - 1 - length) // stride)
    ends = np.minimum(length + stride * np.arange(count, dtype=np.int64), n_tokens - 1) + 1
    firsts = np.concatenate([[1], ends[:-1]])
    if max_tokens is not None and (taken := -(-max_tokens // stride)) < count:
        chosen = np.arange(taken) * count // taken
        firsts, ends = firsts[chosen], ends[chosen]
    return Windows(length, firsts, ends)
