"""Which windows of a text are scored, and which of their targets: each token once, with as much context as asked."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from chainrule.base import ConfigError, DataError

Places = NDArray[np.int64]
# The fractional parts of its multiples are spread more evenly than any random numbers.
GOLDEN_RATIO = (5**0.5 - 1) / 2


@dataclass(frozen=True)
class Windows:
    """Windows of up to `length` inputs; the targets of window i from `firsts[i]` up to `ends[i]` are counted.

    Window i reads the tokens from `starts[i]` up to `ends[i] - 1`, which it does not read: it is a target alone.
    """

    length: int
    firsts: Places
    ends: Places
    starts: Places


def windows_of(n_tokens: int, context_length: int, stride: int | None, max_tokens: int | None) -> Windows:
    """The windows over a store of `n_tokens`: they move by `stride`, and `max_tokens` thins them out evenly.

    Raises ConfigError for a stride or a number out of range, DataError when there is nothing to predict.
    """
    stride = _checked(stride, context_length, max_tokens)
    if n_tokens < 2:
        raise DataError(f"a text of {n_tokens} tokens has nothing to predict; scoring needs at least 2")
    length = min(context_length, n_tokens - 1)
    count = 1 + -(-(n_tokens - 1 - length) // stride)
    ends = np.minimum(length + stride * np.arange(count, dtype=np.int64), n_tokens - 1) + 1
    firsts = np.concatenate([[1], ends[:-1]])
    if max_tokens is not None and (taken := -(-max_tokens // stride)) < count:
        chosen = np.arange(taken) * count // taken
        firsts, ends = firsts[chosen], ends[chosen]
    return Windows(length, firsts, ends, ends - 1 - length)


def windows_of_documents(
    begins: Places, context_length: int, stride: int | None = None, max_tokens: int | None = None
) -> Windows:
    """The windows over documents that begin at `begins` (the last of them is the end of all), each for itself.

    The first token of a document is read and never a target. A document that fits is one window; in a longer one they
    move by `stride`. Of all these windows, in order, `max_tokens` takes some that are spread evenly. Raises ConfigError
    for a stride or a number out of range.
    """
    stride = _checked(stride, context_length, max_tokens)
    n_targets = np.diff(begins) - 1
    counts = 1 + np.maximum(0, -(-(n_targets - context_length) // stride))
    owner = np.repeat(np.arange(len(counts)), counts)
    number = np.arange(len(owner)) - np.repeat(np.cumsum(counts) - counts, counts)
    ends = begins[:-1][owner] + np.minimum(context_length + number * stride, n_targets[owner]) + 1
    firsts = np.where(number == 0, begins[:-1][owner] + 1, np.concatenate([[0], ends[:-1]]))
    starts = np.maximum(begins[:-1][owner], ends - 1 - context_length)
    if max_tokens is not None and max_tokens < n_targets.sum():
        chosen = _spread(ends - firsts, max_tokens)
        firsts, ends, starts = firsts[chosen], ends[chosen], starts[chosen]
    return Windows(context_length, firsts, ends, starts)


def _spread(sizes: Places, most: int) -> Places:
    """Places of windows that count at most `most` targets together, or of one: evenly spread over all of them.

    One from each of equal stretches; where in its stretch moves from one to the next, so that in equally long documents
    it is not the same part each time.
    """
    taken = max(1, min(len(sizes), int(most / sizes.mean())))
    while True:
        edges = np.arange(taken + 1) * len(sizes) // taken
        chosen = edges[:-1] + (np.arange(1, taken + 1) * GOLDEN_RATIO % 1 * np.diff(edges)).astype(np.int64)
        if taken == 1 or (counted := int(sizes[chosen].sum())) <= most:
            return chosen
        taken = max(1, min(taken - 1, taken * most // counted))


def _checked(stride: int | None, context_length: int, max_tokens: int | None) -> int:
    stride = context_length if stride is None else stride
    if not 1 <= stride <= context_length:
        raise ConfigError(f"stride={stride} is out of range; use 1 to context_length={context_length}")
    if max_tokens is not None and max_tokens < 1:
        raise ConfigError(f"max_tokens={max_tokens} scores nothing; use at least 1")
    return stride
