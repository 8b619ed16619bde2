"""Batches as a pure function of (seed, samples consumed): O(1) to resume, the same for any number of ranks."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Int64
from numpy.typing import NDArray

from chainrule.base import DataError
from chainrule.config import MixtureStage
from chainrule.data.mixture import Mixture
from chainrule.data.order import permuted, round_keys
from chainrule.data.part_store import PartStore
from chainrule.data.store import TokenStore

# Shares of old text are kept to this fraction, so that integers alone decide which sample is an old one.
SHARE_UNIT = 1 << 20
# Short windows are drawn from so many samples together: a batch then reads from as many places as it has windows, and
# momentum remembers hundreds, while each token of these samples is still seen once (docs/LOG.md).
TOGETHER = 2048


class Windows(NamedTuple):
    """Samples of T + 1 tokens (context_length, or a part of it): the last is only predicted, the first only read."""

    ids: Int64[np.ndarray, "B T+1"]
    documents: Int64[np.ndarray, "B T+1"] | None
    """Numbers of the documents that the tokens belong to, when they were asked for."""
    trained: Bool[np.ndarray, "B T+1"] | None = None
    """Which tokens are learnt (as targets); None: all."""

    def some(self, rows: slice) -> "Windows":
        """Some of the windows."""
        return Windows(*(None if part is None else part[rows] for part in self))  # type: ignore[arg-type]


class Batches:
    """Endless epochs of windows.

    An epoch cuts the text into windows that overlap by one token, so that each token is predicted once, and takes them
    in an order that a key of (seed, epoch) decides. Where the first one begins moves from epoch to epoch, and with it
    all borders. With `old`, a share of the samples, evenly spread, comes from that store instead, in its own epochs.
    With `mixture`, the sources of `store` are read in its shares, each in epochs of its own.
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
        mixture: Sequence[MixtureStage] = (),
    ) -> None:
        if not 0 <= old_share < 1 or (old_share > 0) != (old is not None):
            raise DataError(f"a share of old text of {old_share} needs 0 < share < 1 together with that text")
        self._length, self._seed, self._documents = context_length, seed, documents
        self._new: _Epochs | _Mixed = (
            _Mixed(store, context_length, seed, mixture)
            if mixture
            else _Epochs(store, context_length, seed, "the text")
        )
        # Another seed: the same order in both would pair windows for ever.
        self._old = _Epochs(old, context_length, seed ^ 0x5EED, "the old text") if old is not None else None
        self._old_units = round(old_share * SHARE_UNIT)

    @property
    def n_windows(self) -> int:
        """Windows in one epoch of the (new) text."""
        return self._new.n_windows

    def windows(self, first_sample: int, count: int, n_pieces: int = 1) -> Windows:
        """The samples first_sample … first_sample + count - 1 of the run.

        With `n_pieces` as many tokens in n_pieces times as many windows of 1 / n_pieces of the length, which must
        divide: the pieces of TOGETHER samples in an order of their own, so that those of a batch lie far apart. Where
        n_pieces changes between the batches of such samples, some of their tokens are seen twice and others not.
        """
        if first_sample < 0 or count < 0:
            raise DataError(f"samples count from 0; {count} from {first_sample} were asked for")
        pieces = np.arange(first_sample * n_pieces, (first_sample + count) * n_pieces, dtype=np.int64)
        samples, places = (pieces, np.zeros_like(pieces)) if n_pieces == 1 else self._drawn(pieces, n_pieces)
        length = self._length // n_pieces
        if self._old is None:
            return self._new.windows(samples, places, length, documents=self._documents)
        # Of the first k samples, floor(k * share) are old: the place of each in its own store follows from k alone.
        n_old = samples * self._old_units // SHARE_UNIT
        is_old = (samples + 1) * self._old_units // SHARE_UNIT > n_old
        new = self._new.windows((samples - n_old)[~is_old], places[~is_old], length, documents=self._documents)
        old = self._old.windows(n_old[is_old], places[is_old], length, documents=self._documents)
        ids = _interleaved(new.ids, old.ids, is_old)
        if new.documents is None or old.documents is None:
            return Windows(ids, None)
        return Windows(ids, _interleaved(new.documents, old.documents, is_old))

    def _drawn(self, pieces: NDArray[np.int64], n_pieces: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """For each number of a piece the sample that it is from, and which of its pieces it is."""
        drawn = np.empty_like(pieces)
        groups, numbers = np.divmod(pieces, TOGETHER * n_pieces)
        for group in np.unique(groups):
            here = groups == group
            keys = round_keys(self._seed, int(group), f"{n_pieces} pieces")
            drawn[here] = group * TOGETHER * n_pieces + permuted(numbers[here], TOGETHER * n_pieces, keys)
        return drawn // n_pieces, drawn % n_pieces


class _Epochs:
    """The windows of one store, epoch after epoch."""

    def __init__(self, store: TokenStore | PartStore, context_length: int, seed: int, name: str) -> None:
        if store.n_tokens < context_length + 1:
            raise DataError(
                f"{name} has {store.n_tokens} tokens, but one window needs {context_length + 1} (context_length + 1)"
            )
        self._store, self._stride, self._seed = store, context_length, seed
        # One window fewer than fit leaves room for the start to move by up to a whole stride.
        self.n_windows = max(1, store.n_tokens // context_length - 1)
        self._slack = min(store.n_tokens - self.n_windows * context_length - 1, context_length - 1)

    def windows(
        self, samples: NDArray[np.int64], places: NDArray[np.int64], length: int, *, documents: bool
    ) -> Windows:
        """Of each sample its piece number `places`, of `length` tokens and one more."""
        starts = self.starts(samples) + places * length
        numbers = self._store.document_ids(starts, length + 1) if documents else None
        return Windows(self._store.gather(starts, length + 1), numbers)

    def starts(self, samples: NDArray[np.int64]) -> NDArray[np.int64]:
        """The first token of each sample."""
        epochs, places = np.divmod(samples, self.n_windows)
        starts = np.empty_like(samples)
        for epoch in np.unique(epochs):
            keys = round_keys(self._seed, int(epoch))
            offset = int(keys[-1]) % (self._slack + 1)
            here = epochs == epoch
            starts[here] = offset + permuted(places[here], self.n_windows, keys) * self._stride
        return starts


class _Mixed:
    """The windows of all sources, each in epochs of its own, in the shares of a mixture."""

    def __init__(self, store: TokenStore, context_length: int, seed: int, stages: Sequence[MixtureStage]) -> None:
        stretches = store.sources()
        self._mixture = Mixture(stages, list(stretches), context_length)
        read = {name for stage in stages for name in stage.shares}
        # Other seeds, so that equal sources do not go side by side for ever.
        self._sources = [
            _Epochs(PartStore(store, places), context_length, seed ^ number << 32, f"the source {name}")
            if name in read
            else None
            for number, (name, places) in enumerate(stretches.items())
        ]
        self.n_windows = sum(source.n_windows for source in self._sources if source)

    def windows(
        self, samples: NDArray[np.int64], places: NDArray[np.int64], length: int, *, documents: bool
    ) -> Windows:
        """Of each sample its piece number `places`, of `length` tokens and one more."""
        sources, numbers = self._mixture.parts(samples)
        ids, found = np.empty((2, len(samples), length + 1), np.int64)
        for number in np.unique(sources):
            here, source = sources == number, self._sources[number]
            assert source is not None  # a mixture names what it reads
            windows = source.windows(numbers[here], places[here], length, documents=documents)
            ids[here] = windows.ids
            if windows.documents is not None:
                found[here] = windows.documents
        return Windows(ids, found if documents else None)


def _interleaved(new: NDArray[np.int64], old: NDArray[np.int64], is_old: NDArray[np.bool_]) -> NDArray[np.int64]:
    both = np.empty((len(is_old), new.shape[1]), np.int64)
    both[~is_old], both[is_old] = new, old
    return both
