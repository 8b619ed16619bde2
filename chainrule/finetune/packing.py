"""Examples in windows: several in one, first-fit-decreasing, and none sees another."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Int64
from numpy.typing import NDArray

from chainrule.data import Windows
from chainrule.finetune.examples import Taught

PADDING = -1
"""The document of what fills a window up; it is read, and nothing of it is learnt."""


@dataclass(frozen=True)
class Packed:
    """All windows of a set of examples, each of L = window_tokens + 1 ids."""

    ids: Int64[np.ndarray, "N L"]
    documents: Int64[np.ndarray, "N L"]
    trained: Bool[np.ndarray, "N L"]

    def __len__(self) -> int:
        return len(self.ids)

    def windows(self, rows: NDArray[np.int64]) -> Windows:
        """Some of the windows."""
        return Windows(self.ids[rows], self.documents[rows], self.trained[rows])


def packed(examples: Sequence[Taught], window_tokens: int, padding: int, *, together: bool = True) -> Packed:
    """Windows of `window_tokens` + 1 ids; `padding` is the id that fills them up.

    Each example is a document of its own, so that attention never leaves it. Rotary positions are differences of
    places, so that it does not matter where in a window an example stands. Learned positions know the place itself:
    for them `together` must be False, and each example begins a window.
    """
    size = window_tokens + 1
    bins = _first_fit([len(example) for example in examples], size) if together else [[n] for n in range(len(examples))]
    shape = (len(bins), size)
    ids, documents = np.full(shape, padding, np.int64), np.full(shape, PADDING, np.int64)
    trained = np.zeros(shape, bool)
    for row, members in enumerate(bins):
        place = 0
        for member in members:
            example = examples[member]
            here = slice(place, place + len(example))
            ids[row, here], documents[row, here], trained[row, here] = example.ids, member, example.trained
            place += len(example)
    return Packed(ids, documents, trained)


def _first_fit(lengths: Sequence[int], size: int) -> list[list[int]]:
    """The examples in windows: each, the longest first, where it fits first (at most 11/9 of the best, plus one)."""
    bins: list[list[int]] = []
    room = np.empty(0, np.int64)
    for number in sorted(range(len(lengths)), key=lambda one: -lengths[one]):
        fitting = np.flatnonzero(room >= lengths[number])
        if len(fitting):
            at = int(fitting[0])
        else:
            at = len(bins)
            bins.append([])
            room = np.append(room, size)
        bins[at].append(number)
        room[at] -= lengths[number]
    return bins
