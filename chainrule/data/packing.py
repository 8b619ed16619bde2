"""Documents are packed into shards, each followed by the end-of-text token.

A shard ends with the part that fills it, so where each one begins depends on the text alone.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chainrule.data.encoding import EncodeAll, batches
from chainrule.data.journal import FinishedShard, ShardJournal, TextPlace
from chainrule.data.manifest import ShardEntry
from chainrule.data.shards import narrowed, write_shard
from chainrule.data.survey import Part, Split, Survey
from chainrule.tokenizer import Tokenizer

MOST_LOOSE = 2048


@dataclass
class OpenShard:
    """The shard that is being filled."""

    blocks: list[NDArray[Any]] = field(default_factory=list)
    loose: list[NDArray[Any]] = field(default_factory=list)
    """The newest tokens in small arrays, which would weigh more than their content if there were many."""
    n_tokens: int = 0
    n_bytes: int = 0
    doc_ends: list[int] = field(default_factory=list)
    sources: list[int] = field(default_factory=list)

    def add(self, ids: NDArray[Any], end_of_text: NDArray[Any], part: Part, source: int) -> None:
        """Appends the tokens of a part, and the end-of-text token when it ends its document."""
        self.loose.append(ids)
        self.n_tokens += len(ids)
        self.n_bytes += len(part.content)
        if part.last:
            self.loose.append(end_of_text)
            self.n_tokens += 1
            self.doc_ends.append(self.n_tokens)
            self.sources.append(source)
        if len(self.loose) >= MOST_LOOSE:
            self.join()

    def join(self) -> list[NDArray[Any]]:
        """All tokens, in few arrays."""
        if self.loose:
            self.blocks.append(np.concatenate(self.loose))
            self.loose = []
        return self.blocks


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
        place, shard = self.journal.next_place(split), OpenShard()
        parts = islice(self.survey.parts(split, place.document), place.part, None)
        end_of_text = narrowed(np.array([self.tokenizer.end_of_text]), self.tokenizer.vocab_size)
        source_of = self._document_sources()
        for batch, encoded in encode_all(batches(parts)):
            for part, ids in zip(batch, encoded, strict=True):
                shard.add(ids, end_of_text, part, int(source_of[part.document]))
                place = place.after(part.document, last=part.last)
                if shard.n_tokens >= self.shard_tokens:
                    self._close(split, shard, place)
                    shard = OpenShard()
            self.on_bytes(self.journal.n_bytes + shard.n_bytes)
        if shard.n_tokens:
            self._close(split, shard, place)
        self.journal.finish(split)

    def _close(self, split: Split, shard: OpenShard, place: TextPlace) -> None:
        index = len(self.journal.of(split))
        name = f"{split}-{index:05d}.safetensors"
        metadata = {
            "tokenizer": self.tokenizer.fingerprint,
            "vocab_size": str(self.tokenizer.vocab_size),
            "end_of_text": str(self.tokenizer.end_of_text),
            "split": split,
            "index": str(index),
        }
        doc_ends, sources = np.array(shard.doc_ends, "<u8"), np.array(shard.sources, "<u4")
        sha256 = write_shard(self.folder / name, shard.join(), doc_ends, sources, metadata)
        entry = ShardEntry(name, split, shard.n_tokens, len(doc_ends), sha256)
        self.journal.add(FinishedShard(entry, place, shard.n_bytes))

    def _document_sources(self) -> NDArray[np.uint32]:
        number = {name: index for index, name in enumerate(self.survey.sources)}
        of_file = np.array([number[file.source] for file in self.survey.files], np.uint32)
        return of_file[self.survey.table["file"]]
