"""Documents are packed into shards, each followed by the end-of-text token.

A shard ends with the part that fills it, so where each one begins depends on the text alone.
"""

from array import array
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from chainrule.base import disk_faults
from chainrule.data.encoding import Encoded, EncodedPart
from chainrule.data.jobs import Job, Split
from chainrule.data.journal import FinishedShard, ShardJournal, TextPlace
from chainrule.data.manifest import ShardEntry
from chainrule.data.shards import MOST_COUNTED, narrowed, token_dtype, write_shard
from chainrule.data.surveying import Survey
from chainrule.data.workers import OrderedMap
from chainrule.tokenizer import Tokenizer

MOST_LOOSE, MOST_LOOSE_BYTES = 2048, 16 << 20
# A shard of up to this stays in memory while it is filled; more of it waits in a nameless file.
HELD_BYTES = 64 << 20


EncodeAll = OrderedMap[tuple[Split, int], tuple[Split, int, Job], Encoded]


@dataclass
class OpenShard:
    """The shard that is being filled."""

    folder: Path
    vocab_size: int
    n_tokens: int = 0
    n_bytes: int = 0
    doc_ends: "array[int]" = field(default_factory=lambda: array("Q"))
    sources: "array[int]" = field(default_factory=lambda: array("I"))
    source_tokens: Counter[int] = field(default_factory=Counter)
    _loose: list[NDArray[Any]] = field(default_factory=list)
    """The newest tokens in small arrays, which would weigh more than their content if there were many."""
    _loose_bytes: int = 0
    _blocks: list[NDArray[Any]] = field(default_factory=list)
    _held_bytes: int = 0
    _spool: IO[bytes] | None = None
    _counts: NDArray[np.int64] | None = None

    def add(self, part: EncodedPart, end_of_text: NDArray[Any], source: int) -> None:
        """Appends the tokens of a part, and the end-of-text token when it ends its document."""
        ids = part.ids
        self._loose.append(ids)
        self._loose_bytes += ids.nbytes
        self.n_tokens += len(ids)
        self.n_bytes += part.n_bytes
        self.source_tokens[source] += len(ids) + part.last
        if part.last:
            self._loose.append(end_of_text)
            self.n_tokens += 1
            self.doc_ends.append(self.n_tokens)
            self.sources.append(source)
        if len(self._loose) >= MOST_LOOSE or self._loose_bytes >= MOST_LOOSE_BYTES:
            self._join()

    def tokens(self) -> Iterator[NDArray[Any]]:
        """All tokens in order, once they are all there."""
        if self._spool is not None:
            self._spool.seek(0)
            while content := self._spool.read(HELD_BYTES):
                yield np.frombuffer(content, token_dtype(self.vocab_size))
        yield from self._blocks

    def close(self) -> None:
        """Lets go of the nameless file."""
        if self._spool is not None:
            self._spool.close()

    def arrays(self) -> dict[str, NDArray[Any]]:
        """What stands before the tokens; no token may be added any more."""
        self._join()
        found = {"doc_ends": np.array(self.doc_ends, "<u8"), "sources": np.array(self.sources, "<u4")}
        return found if self._counts is None else {**found, "counts": self._counts.astype("<u4")}

    def _join(self) -> None:
        if not self._loose:
            return
        block = np.concatenate(self._loose)
        self._loose, self._loose_bytes = [], 0
        if self.vocab_size <= MOST_COUNTED:
            counts = np.bincount(block, minlength=self.vocab_size)
            self._counts = counts if self._counts is None else self._counts + counts
        self._blocks.append(block)
        self._held_bytes += block.nbytes
        if self._held_bytes >= HELD_BYTES:
            self._unload()

    def _unload(self) -> None:
        with disk_faults(self.folder, "writing tokens into"):
            if self._spool is None:
                self._spool = TemporaryFile(dir=self.folder)  # noqa: SIM115 (it goes with its last token)
            for block in self._blocks:
                self._spool.write(block.tobytes())
        self._blocks, self._held_bytes = [], 0


@dataclass
class Packing:
    """What all shards of one preparation share."""

    survey: Survey
    tokenizer: Tokenizer
    folder: Path
    journal: ShardJournal
    shard_tokens: int
    on_bytes: Callable[[int], None]
    """Called with the bytes of text that are in shards or on the way there."""

    def write(self, split: Split, encode_all: EncodeAll) -> None:
        """Writes the shards of one side that are not finished yet."""
        place, shard = self.journal.next_place(split), self._fresh()
        end_of_text = narrowed(np.array([self.tokenizer.end_of_text]), self.tokenizer.vocab_size)
        source_of = self._document_sources()
        try:
            for (_, unit), encoded in encode_all(self._units(split, place.unit)):
                done = place.part if unit == place.unit else 0
                for number, part in enumerate(islice(encoded.parts(), done, None), start=done + 1):
                    shard.add(part, end_of_text, int(source_of[part.document]))
                    place = TextPlace(unit, number)
                    if shard.n_tokens >= self.shard_tokens:
                        self._finish(split, shard, place)
                        shard = self._fresh()
                self.on_bytes(self.journal.n_bytes + shard.n_bytes)
                # Before the next unit is made, not after.
                del encoded
            if shard.n_tokens:
                self._finish(split, shard, place)
        finally:
            shard.close()
        self.journal.finish(split)

    def _units(self, split: Split, start: int) -> Iterator[tuple[tuple[Split, int], tuple[Split, int, Job]]]:
        return (((split, number), (split, number, job)) for number, job in self.survey.jobs(self.folder, start, split))

    def _fresh(self) -> OpenShard:
        return OpenShard(self.folder, self.tokenizer.vocab_size)

    def _finish(self, split: Split, shard: OpenShard, place: TextPlace) -> None:
        index = len(self.journal.of(split))
        name = f"{split}-{index:05d}.safetensors"
        metadata = {
            "tokenizer": self.tokenizer.fingerprint,
            "vocab_size": str(self.tokenizer.vocab_size),
            "end_of_text": str(self.tokenizer.end_of_text),
            "split": split,
            "index": str(index),
        }
        dtype, arrays = token_dtype(self.tokenizer.vocab_size), shard.arrays()
        written = write_shard(self.folder / name, arrays, shard.tokens(), shard.n_tokens, dtype, metadata)
        shard.close()
        entry = ShardEntry(name, split, shard.n_tokens, len(shard.doc_ends), written.sha256, written.root)
        mtime_ns = (self.folder / name).stat().st_mtime_ns
        sources = {str(number): n_tokens for number, n_tokens in sorted(shard.source_tokens.items())}
        self.journal.add(FinishedShard(entry, place, shard.n_bytes, sources, mtime_ns))

    def _document_sources(self) -> NDArray[np.uint32]:
        number = {name: index for index, name in enumerate(self.survey.sources)}
        of_file = np.array([number[file.source] for file in self.survey.files], np.uint32)
        return of_file[self.survey.table["file"]]
