"""The tokens of one source as one long row, wherever in the shards its documents lie: nothing is written again."""

from collections.abc import Callable

import numpy as np
from jaxtyping import Int64
from numpy.typing import NDArray

from chainrule.data.store import TokenStore


class PartStore:
    """Stretches of a store ([n, 2], first and first beyond, ascending); positions count through all of them."""

    def __init__(self, store: TokenStore, stretches: NDArray[np.int64]) -> None:
        self._store, self._firsts = store, stretches[:, 0]
        self._borders = np.concatenate([[0], np.cumsum(stretches[:, 1] - stretches[:, 0])])

    @property
    def n_tokens(self) -> int:
        """All tokens of the source."""
        return int(self._borders[-1])

    def gather(self, starts: Int64[np.ndarray, "B"], length: int) -> Int64[np.ndarray, "B {length}"]:
        """The windows of `length` tokens that begin at `starts`."""
        return self._joined(starts, length, self._store.gather)

    def document_ids(self, starts: Int64[np.ndarray, "B"], length: int) -> Int64[np.ndarray, "B {length}"]:
        """As TokenStore.document_ids; numbers are those of the whole store."""
        return self._joined(starts, length, self._store.document_ids)

    def _joined(
        self, starts: NDArray[np.int64], length: int, read: Callable[[NDArray[np.int64], int], NDArray[np.int64]]
    ) -> NDArray[np.int64]:
        stretch = np.searchsorted(self._borders, starts, "right") - 1
        inside = starts + length <= self._borders[stretch + 1]
        windows = np.empty((len(starts), length), np.int64)
        there = starts - self._borders[stretch] + self._firsts[stretch]
        windows[inside] = read(there[inside], length)
        for row in np.flatnonzero(~inside):
            windows[row] = np.concatenate(self._pieces(int(starts[row]), int(stretch[row]), length, read))
        return windows

    def _pieces(
        self, at: int, stretch: int, length: int, read: Callable[[NDArray[np.int64], int], NDArray[np.int64]]
    ) -> list[NDArray[np.int64]]:
        """A window that lies in several stretches."""
        found = []
        while length:
            size = min(length, int(self._borders[stretch + 1]) - at)
            start = at - int(self._borders[stretch]) + int(self._firsts[stretch])
            found.append(read(np.array([start]), size)[0])
            at, stretch, length = at + size, stretch + 1, length - size
        return found
