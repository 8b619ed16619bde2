"""Prepared text as training reads it: one long row of tokens for each side of the split, mapped from the shards."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Int64
from numpy.typing import NDArray

from chainrule.base import DataError
from chainrule.data.manifest import Manifest, ShardEntry, load_manifest
from chainrule.data.mapped import Shard, ShardFile
from chainrule.data.shards import sha256_of
from chainrule.run import RunFolder, is_sealed_file

COUNTED_AT_ONCE = 1 << 22


class TokenStore:
    """The tokens of one side of the split; positions count through all shards."""

    def __init__(self, shards: Sequence[Shard | ShardFile], sources: tuple[str, ...]) -> None:
        self._shards = list(shards)
        self._source_names = sources
        # Borders of the shards in tokens and in documents; the first is 0, the last the total.
        self._borders = np.cumsum([0, *(shard.n_tokens for shard in self._shards)], dtype=np.int64)
        self._documents = np.cumsum([0, *(shard.n_documents for shard in self._shards)], dtype=np.int64)

    @property
    def n_tokens(self) -> int:
        """All tokens, end-of-text tokens included."""
        return int(self._borders[-1])

    @property
    def n_documents(self) -> int:
        """Documents, each ended by an end-of-text token."""
        return int(self._documents[-1])

    def read(self, start: int, length: int) -> NDArray[np.int64]:
        """The tokens at start, start + 1, … as int64 [length]; raises DataError beyond the end."""
        (first,), (last,) = self._shards_of(np.array([start]), length), self._shard_at(np.array([start + length - 1]))
        return self._across(start, length, int(first), int(last)).astype(np.int64)

    def gather(self, starts: Int64[np.ndarray, "B"], length: int) -> Int64[np.ndarray, "B {length}"]:
        """The windows of `length` tokens that begin at `starts`; raises DataError when one leaves the store."""
        first = self._shards_of(starts, length)
        last = self._shard_at(starts + (length - 1))
        windows = np.empty((len(starts), length), np.int64)
        for shard, rows in _groups(first, np.flatnonzero(first == last)):
            windows[rows] = self._shards[shard].windows(starts[rows] - self._borders[shard], length)
        for row in np.flatnonzero(first != last):
            windows[row] = self._across(int(starts[row]), length, int(first[row]), int(last[row]))
        return windows

    def document_ids(self, starts: Int64[np.ndarray, "B"], length: int) -> Int64[np.ndarray, "B {length}"]:
        """For each place of the windows the number of the document that its token sees: end-of-text opens the next.

        So the first token of a document is predicted from end-of-text alone, as generation from nothing predicts it.
        Were end-of-text the end of its own document, attention at it would carry that document into the next one.
        """
        self._shards_of(starts, length)
        first, last = self._ended_before(starts + 1), self._ended_before(starts + length)
        # Documents that end inside a window are few: each raises the numbers by one, from its end-of-text on.
        counts = last - first
        rows = np.repeat(np.arange(len(starts)), counts)
        ending = np.repeat(first - np.cumsum(counts) + counts, counts) + np.arange(len(rows))
        steps = np.zeros((len(starts), length), np.int64)
        steps[:, 0] = first
        steps[rows, self._ends(ending) - 1 - starts[rows]] = 1
        return np.cumsum(steps, axis=1)

    def document_ends(self) -> NDArray[np.int64]:
        """The position behind each document, ascending."""
        pairs = zip(self._shards, self._borders, strict=False)
        return np.concatenate([np.empty(0, np.int64), *(s.doc_ends.astype(np.int64) + b for s, b in pairs)])

    def sources(self) -> dict[str, NDArray[np.int64]]:
        """For each source that occurs, its stretches of tokens: [n, 2], first and first beyond, ascending."""
        if not self.n_documents:
            return {}
        ends = np.concatenate(
            [s.doc_ends.astype(np.int64) + b for s, b in zip(self._shards, self._borders, strict=False)]
        )
        numbers = np.concatenate([shard.sources for shard in self._shards])
        # Neighbouring documents of one source make one stretch.
        closes = np.flatnonzero(np.append(numbers[1:] != numbers[:-1], True))
        stretches = np.stack([np.concatenate([[0], ends[closes[:-1]]]), ends[closes]], axis=1)
        of_stretch = numbers[closes]
        return {self._source_names[number]: stretches[of_stretch == number] for number in np.unique(of_stretch)}

    @property
    def occurring(self) -> tuple[str, ...]:
        """The sources of which there are documents, in the order of their numbers."""
        return tuple(self._source_names[number] for number in self._occurring.tolist())

    @cached_property
    def _occurring(self) -> NDArray[np.int64]:
        counts = np.zeros(len(self._source_names), np.int64)
        for shard in self._shards:
            for start in range(0, shard.n_documents, COUNTED_AT_ONCE):
                counts += np.bincount(shard.sources[start : start + COUNTED_AT_ONCE], minlength=len(counts))
        return np.flatnonzero(counts)

    def sources_at(self, positions: NDArray[np.int64]) -> NDArray[np.int64]:
        """For each position the place in `occurring` of its document's source; no other documents are looked at."""
        documents = np.minimum(self._ended_before(positions), self.n_documents - 1)
        found = np.empty_like(documents)
        for shard, places in self._by_document(documents):
            found[places] = self._shards[shard].sources[documents[places] - self._documents[shard]]
        return np.searchsorted(self._occurring, found)

    def document_at(self, position: int) -> tuple[int, str]:
        """The number (from 0) of the document that holds the token at `position`, and its source's name.

        Looked up in one shard: `sources` makes arrays of all documents.
        """
        document = int(self._ended_before(np.array([position]))[0])
        shard = int(np.searchsorted(self._documents, document, "right")) - 1
        number = self._shards[shard].sources[document - int(self._documents[shard])]
        return document, self._source_names[int(number)]

    def _ended_before(self, positions: NDArray[np.int64]) -> NDArray[np.int64]:
        """How many documents end before each position, which may be the end of the text."""
        numbers = np.empty_like(positions)
        shards = np.minimum(self._shard_at(positions), len(self._shards) - 1)
        for shard, places in _groups(shards, np.arange(len(positions))):
            inside = (positions[places] - self._borders[shard]).astype(np.uint64)
            numbers[places] = self._documents[shard] + np.searchsorted(self._shards[shard].doc_ends, inside, "right")
        return numbers

    def _ends(self, documents: NDArray[np.int64]) -> NDArray[np.int64]:
        """The position after the last token of each document."""
        ends = np.empty_like(documents)
        for shard, places in self._by_document(documents):
            inside = documents[places] - self._documents[shard]
            ends[places] = self._shards[shard].doc_ends[inside].astype(np.int64) + self._borders[shard]
        return ends

    def _by_document(self, documents: NDArray[np.int64]) -> Iterator[tuple[int, NDArray[np.int64]]]:
        """Each shard in which some of the documents end, with their places in the array."""
        return _groups(np.searchsorted(self._documents, documents, "right") - 1, np.arange(len(documents)))

    def _shard_at(self, positions: NDArray[np.int64]) -> NDArray[np.int64]:
        return np.searchsorted(self._borders, positions, side="right") - 1

    def _shards_of(self, starts: NDArray[np.int64], length: int) -> NDArray[np.int64]:
        """The shard of each start, after the check that all windows lie inside."""
        if len(starts) and (int(starts.min()) < 0 or int(starts.max()) + length > self.n_tokens or length < 1):
            raise DataError(
                f"windows of {length} tokens from {int(starts.min())} to {int(starts.max())} leave a text of "
                f"{self.n_tokens} tokens"
            )
        return self._shard_at(starts)

    def _across(self, start: int, length: int, first: int, last: int) -> NDArray[Any]:
        """A window that lies in several shards."""
        parts: list[NDArray[Any]] = []
        for shard in range(first, last + 1):
            base = int(self._borders[shard])
            parts.append(self._shards[shard].stretch(max(start - base, 0), start + length - base))
        return np.concatenate(parts)


def _groups(shards: NDArray[np.int64], rows: NDArray[np.int64]) -> Iterator[tuple[int, NDArray[np.int64]]]:
    """Each shard that holds some of `rows`, with those rows."""
    order = rows[np.argsort(shards[rows], kind="stable")]
    borders = np.flatnonzero(np.diff(shards[order])) + 1
    for part in np.split(order, borders) if len(order) else ():
        yield int(shards[part[0]]), part


@dataclass(frozen=True)
class Dataset:
    """A prepared text."""

    folder: Path
    manifest: Manifest
    shards: tuple[ShardFile, ...] = field(repr=False)
    """In the order of the manifest; a file is mapped while it is used."""
    _stores: dict[str, TokenStore] = field(default_factory=dict, init=False, repr=False, compare=False)

    def split(self, name: str) -> TokenStore:
        """The tokens of "train" or "validation", the same object each time: it remembers which sources occur."""
        if name not in self._stores:
            self._stores[name] = TokenStore(self._side(name), self.manifest.sources)
        return self._stores[name]

    def counts(self, name: str) -> NDArray[np.int64]:
        """How often each id occurs on that side, [vocab_size], as it was counted when the shards were written."""
        total = np.zeros(self.manifest.vocab_size, np.int64)
        for shard in self._side(name):
            counts = shard.counts
            if counts is not None:
                total += counts
                continue
            for start in range(0, shard.n_tokens, COUNTED_AT_ONCE):
                total += np.bincount(shard.stretch(start, start + COUNTED_AT_ONCE), minlength=len(total))
        return total

    def check_tokenizer(self, fingerprint: str, whose: str) -> None:
        """Raises DataError when the ids mean something else to the tokenizer with this fingerprint."""
        if self.manifest.tokenizer != fingerprint:
            raise DataError(
                f"{self.folder} was prepared with another tokenizer than that of {whose} (its fingerprint differs), so "
                "its ids mean other words; bring the run's own data folder back, or name the text itself"
            )

    def _side(self, name: str) -> list[ShardFile]:
        pairs = zip(self.manifest.shards, self.shards, strict=True)
        found = [shard for entry, shard in pairs if entry.split == name]
        if not found:
            raise DataError(f"{self.folder}: has no side {name!r}; there are train and validation")
        return found


def open_dataset(folder: Path, *, verify: bool = False) -> Dataset:
    """Opens what `write_shards` wrote; raises DataError naming each shard that is missing or damaged.

    Sizes, headers and checksums are compared at once, and each block of a shard with its checksum when it is first
    read, so that nothing damaged is ever learnt from. `verify` reads every shard at once and compares its SHA-256
    (about a second per gigabyte), and so do shards from before there were checksums of blocks.
    """
    manifest = load_manifest(folder)
    shards, damage = list[ShardFile](), list[str]()
    for entry in manifest.shards:
        try:
            shards.append(_opened(folder / entry.file, entry, manifest, verify=verify))
        except DataError as fault:
            damage.append(str(fault))
    if damage:
        raise DataError(f"{'; '.join(damage)}. Restore what is damaged, or prepare the text again")
    return Dataset(folder, manifest, tuple(shards))


def run_dataset(run: RunFolder, *, verify: bool = False) -> Dataset:
    """The prepared text of a run; besides what `open_dataset` raises, DataError for one that is not the run's own."""
    if run.manifest.is_file() and not is_sealed_file(run, run.manifest):
        raise DataError(
            f"{run.manifest} is not the one that the run wrote (its SHA-256 differs): it was edited or damaged, or the "
            "folder is another run's. Bring the run's own data folder back"
        )
    return open_dataset(run.data, verify=verify)


def _opened(path: Path, entry: ShardEntry, manifest: Manifest, *, verify: bool) -> ShardFile:
    shard = ShardFile(path)
    if shard.layout.root != entry.root or ((verify or not entry.root) and sha256_of(path) != entry.sha256):
        raise DataError(f"{path}: was changed (its checksum is not that of what was written)")
    dtype, tokenizer = shard.layout.places["tokens"].dtype.name, shard.layout.metadata.get("tokenizer")
    known = (shard.n_tokens, shard.n_documents, dtype, tokenizer)
    if known != (entry.tokens, entry.documents, manifest.dtype, manifest.tokenizer):
        raise DataError(f"{path}: is not the shard that the manifest describes")
    return shard
