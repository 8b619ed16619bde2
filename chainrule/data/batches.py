"""Batches as a pure function of (seed, samples consumed): O(1) to resume, the same for any number of ranks."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Int64
from numpy.typing import NDArray

from chainrule.base import DataError
from chainrule.data.order import permuted, round_keys
from chainrule.data.store import TokenStore

# Shares of old text are kept to this fraction, so that integers alone decide which sample is an old one.
SHARE_UNIT = 1 << 20


class Windows(NamedTuple):
    """Samples of T + 1 tokens (context_length, or a part of it): the last is only predicted, the first only read."""

    ids: Int64[np.ndarray, "B T+1"]
    documents: Int64[np.ndarray, "B T+1"] | None
    """Numbers of the documents that the tokens belong to, when they were asked for."""


class Batches:
    """Endless epochs of windows.

    An epoch cuts the text into windows that overlap by one token, so that each token is predicted once, and takes them
    in an order that a key of (seed, epoch) decides. Where the first one begins moves from epoch to epoch, and with it
    all borders. Shorter windows have epochs of their own. With `old`, a share of the samples, evenly spread, comes from
    that store instead, in its own epochs.
    """

    def __init__(
        self,
        store: TokenStore,
        context_length: int,
        seed: int,
        *,
        old: TokenStore | None = None,
        old_share: float = 0.0,
        documents: bool = False,
    ) -> None:
        if not 0 <= old_share < 1 or (old_share > 0) != (old is not None):
            raise DataError(f"a share of old text of {old_share} needs 0 < share < 1 together with that text")
        self._documents = documents
        self._new = _Epochs(store, context_length, seed, "the text")
        # Another seed: the same order in both would pair windows for ever.
        self._old = _Epochs(old, context_length, seed ^ 0x5EED, "the old text") if old is not None else None
        self._old_units = round(old_share * SHARE_UNIT)

    @property
    def n_windows(self) -> int:
        """Windows in one epoch of the (new) text."""
        return self._new.n_windows

    def windows(self, first_sample: int, count: int, n_pieces: int = 1) -> Windows:
        """The samples first_sample … first_sample + count - 1 of the run.

        With `n_pieces` as many tokens, in n_pieces times as many windows of 1 / n_pieces of the length, which must
        divide. They are not those samples cut: each is drawn for itself, so that a batch reads from as many places as
        it has windows. Cut windows cost a tenth of a bit a byte (docs/LOG.md).
        """
        if first_sample < 0 or count < 0:
            raise DataError(f"samples count from 0; {count} from {first_sample} were asked for")
        samples = np.arange(first_sample * n_pieces, (first_sample + count) * n_pieces, dtype=np.int64)
        if self._old is None:
            return self._new.windows(samples, n_pieces, documents=self._documents)
        # Of the first k samples, floor(k * share) are old: the place of each in its own store follows from k alone.
        n_old = samples * self._old_units // SHARE_UNIT
        is_old = (samples + 1) * self._old_units // SHARE_UNIT > n_old
        new = self._new.windows((samples - n_old)[~is_old], n_pieces, documents=self._documents)
        old = self._old.windows(n_old[is_old], n_pieces, documents=self._documents)
        ids = _interleaved(new.ids, old.ids, is_old)
        if new.documents is None or old.documents is None:
            return Windows(ids, None)
        return Windows(ids, _interleaved(new.documents, old.documents, is_old))


class _Epochs:
    """The windows of one store, epoch after epoch."""

    def __init__(self, store: TokenStore, context_length: int, seed: int, name: str) -> None:
        if store.n_tokens < context_length + 1:
            raise DataError(
                f"{name} has {store.n_tokens} tokens, but one window needs {context_length + 1} (context_length + 1)"
            )
        self._store, self._length, self._seed = store, context_length, seed
        self.n_windows = self._windows_of(context_length)

    def windows(self, samples: NDArray[np.int64], n_pieces: int, *, documents: bool) -> Windows:
        stride = self._length // n_pieces
        starts = self.starts(samples, stride)
        numbers = self._store.document_ids(starts, stride + 1) if documents else None
        return Windows(self._store.gather(starts, stride + 1), numbers)

    def starts(self, samples: NDArray[np.int64], stride: int) -> NDArray[np.int64]:
        """The first token of each sample of stride + 1 tokens."""
        n_windows = self._windows_of(stride)
        slack = min(self._store.n_tokens - n_windows * stride - 1, stride - 1)
        epochs, places = np.divmod(samples, n_windows)
        starts = np.empty_like(samples)
        for epoch in np.unique(epochs):
            keys = round_keys(self._seed, int(epoch))
            offset = int(keys[-1]) % (slack + 1)
            here = epochs == epoch
            starts[here] = offset + permuted(places[here], n_windows, keys) * stride
        return starts

    def _windows_of(self, stride: int) -> int:
        # One window fewer than fit leaves room for the start to move by up to a whole stride.
        return max(1, self._store.n_tokens // stride - 1)


def _interleaved(new: NDArray[np.int64], old: NDArray[np.int64], is_old: NDArray[np.bool_]) -> NDArray[np.int64]:
    both = np.empty((len(is_old), new.shape[1]), np.int64)
    both[~is_old], both[is_old] = new, old
    return both
