"""Pass 2: the kept documents become token shards, each document followed by the end-of-text token.

Held-out text first, then training text. A shard ends with the part that fills it, so where each one begins depends on
the text alone.
"""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from functools import lru_cache, partial
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chainrule.base import DataError, disk_faults
from chainrule.data.journal import FinishedShard, ShardJournal, TextPlace
from chainrule.data.manifest import Manifest, ShardEntry, make_manifest, save_manifest
from chainrule.data.scan import Progress
from chainrule.data.shards import narrowed, token_dtype, write_shard
from chainrule.data.store import TokenStore, open_shards
from chainrule.data.survey import Part, Split, Survey
from chainrule.data.workers import ordered_map, worker_count
from chainrule.tokenizer import Tokenizer, load_tokenizer

SPLITS: tuple[Split, ...] = ("validation", "train")
SIDES = {"validation": "held-out", "train": "training"}
SHARD_BYTES = 64 << 20
BATCH_BYTES = 1 << 20

Encode = Callable[[list[Part]], list[NDArray[Any]]]


@dataclass
class OpenShard:
    """The shard that is being filled."""

    tokens: list[NDArray[Any]] = field(default_factory=list)
    n_tokens: int = 0
    n_bytes: int = 0
    doc_ends: list[int] = field(default_factory=list)
    sources: list[int] = field(default_factory=list)

    def add(self, ids: NDArray[Any], end_of_text: NDArray[Any], part: Part, source: int) -> None:
        """Appends the tokens of a part, and the end-of-text token when it ends its document."""
        self.tokens.append(ids)
        self.n_tokens += len(ids)
        self.n_bytes += len(part.content)
        if part.last:
            self.tokens.append(end_of_text)
            self.n_tokens += 1
            self.doc_ends.append(self.n_tokens)
            self.sources.append(source)


def write_shards(
    survey: Survey,
    tokenizer: Tokenizer,
    folder: Path,
    *,
    context_length: int,
    workers: int = 0,
    on_progress: Progress | None = None,
    shard_bytes: int = SHARD_BYTES,
) -> Manifest:
    """Writes the token shards and manifest.json of `survey` into `folder`; returns the manifest.

    What an interrupted call with the same survey and tokenizer finished is kept, and the end is the same to the byte.
    `workers`: processes; 0 chooses. Raises DataError when either side of the split has fewer tokens than one window
    (context_length + 1), when a file is not what it was, or when an id is beyond the vocabulary.
    """
    dtype = token_dtype(tokenizer.vocab_size)
    key = _key(survey, tokenizer, shard_bytes)
    with disk_faults(folder, "creating"):
        (folder / "survey").mkdir(parents=True, exist_ok=True)
    journal = ShardJournal(folder, key)
    packing = _Packing(survey, tokenizer, folder, journal, shard_bytes // dtype.itemsize, on_progress)
    encode = _encoder(
        tokenizer, folder / "survey" / "tokenizer.json", n_workers := worker_count(workers, packing.total)
    )
    for split in SPLITS:
        if not journal.is_final(split):
            packing.write(split, encode, n_workers)
        _refuse_too_little(journal, split, context_length)
    manifest = make_manifest(
        tokenizer=tokenizer.fingerprint,
        vocab_size=tokenizer.vocab_size,
        end_of_text=tokenizer.end_of_text,
        dtype=dtype.name,
        sources=tuple(survey.sources),
        shards=tuple(shard.entry for shard in journal.finished),
        report=_report(survey, journal, folder),
    )
    save_manifest(manifest, folder)
    return manifest


@dataclass
class _Packing:
    """What all shards of one preparation share."""

    survey: Survey
    tokenizer: Tokenizer
    folder: Path
    journal: ShardJournal
    shard_tokens: int
    on_progress: Progress | None

    @property
    def total(self) -> int:
        """Bytes of text to encode."""
        return sum(map(self.survey.split_bytes, SPLITS))

    def write(self, split: Split, encode: Encode, workers: int) -> None:
        """Writes the shards of one side that are not finished yet."""
        place, shard = self.journal.next_place(split), OpenShard()
        parts = islice(self.survey.parts(split, place.document), place.part, None)
        end_of_text = narrowed(np.array([self.tokenizer.end_of_text]), self.tokenizer.vocab_size)
        source_of = self._document_sources()
        with closing(ordered_map(encode, _batches(parts), workers)) as results:
            for batch, encoded in results:
                for part, ids in zip(batch, encoded, strict=True):
                    shard.add(ids, end_of_text, part, int(source_of[part.document]))
                    place = place.after(part.document, last=part.last)
                    if shard.n_tokens >= self.shard_tokens:
                        self._close(split, shard, place)
                        shard = OpenShard()
                if self.on_progress:
                    self.on_progress("tokens", min(self.journal.n_bytes + shard.n_bytes, self.total), self.total)
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
        sha256 = write_shard(self.folder / name, shard.tokens, doc_ends, sources, metadata)
        entry = ShardEntry(name, split, shard.n_tokens, len(doc_ends), sha256)
        self.journal.add(FinishedShard(entry, place, shard.n_bytes))

    def _document_sources(self) -> NDArray[np.uint32]:
        number = {name: index for index, name in enumerate(self.survey.sources)}
        of_file = np.array([number[file.source] for file in self.survey.files], np.uint32)
        return of_file[self.survey.table["file"]]


def _batches(parts: Iterator[Part]) -> Iterator[list[Part]]:
    batch: list[Part] = []
    waiting = 0
    for part in parts:
        batch.append(part)
        waiting += len(part.content)
        if waiting >= BATCH_BYTES:
            yield batch
            batch, waiting = [], 0
    if batch:
        yield batch


def _encoder(tokenizer: Tokenizer, saved: Path, workers: int) -> Encode:
    """The encoding of a batch; for other processes one that loads the tokenizer from its file."""
    if workers <= 1:
        return partial(_encode, tokenizer)
    tokenizer.save(saved)
    return partial(_encode_elsewhere, saved, tokenizer.fingerprint)


def _encode(tokenizer: Tokenizer, batch: Sequence[Part]) -> list[NDArray[Any]]:
    encoded = tokenizer.encode_batch([part.content.decode() for part in batch])
    return [narrowed(np.asarray(ids), tokenizer.vocab_size) for ids in encoded]


def _encode_elsewhere(saved: Path, fingerprint: str, batch: Sequence[Part]) -> list[NDArray[Any]]:
    return _encode(_loaded(saved, fingerprint), batch)


@lru_cache(maxsize=1)
def _loaded(saved: Path, fingerprint: str) -> Tokenizer:
    tokenizer = load_tokenizer(saved)
    if tokenizer.fingerprint != fingerprint:
        raise DataError(
            f"{saved}: is not the tokenizer that was given; another preparation writes into the same folder"
        )
    return tokenizer


def _refuse_too_little(journal: ShardJournal, split: Split, context_length: int) -> None:
    n_tokens = sum(shard.entry.tokens for shard in journal.of(split))
    if n_tokens < context_length + 1:
        raise DataError(
            f"the {SIDES[split]} text has {n_tokens} tokens, but one window needs {context_length + 1} "
            "(context_length + 1); give more text, a larger text.validation_share, or a smaller model.context_length"
        )


def _report(survey: Survey, journal: ShardJournal, folder: Path) -> dict[str, Any]:
    """The survey's figures with those of the tokens."""
    report = {**survey.report, "tokens": {}, "split_bytes": {}, "split_documents": {}}
    sources = {name: {**figures, "tokens": 0, "validation_tokens": 0} for name, figures in report["sources"].items()}
    for split in reversed(SPLITS):
        finished = journal.of(split)
        report["tokens"][split] = sum(shard.entry.tokens for shard in finished)
        report["split_bytes"][split] = sum(shard.n_bytes for shard in finished)
        report["split_documents"][split] = sum(shard.entry.documents for shard in finished)
        store = TokenStore(open_shards(folder, [shard.entry.file for shard in finished]), tuple(survey.sources))
        for name, ranges in store.sources().items():
            n_tokens = int((ranges[:, 1] - ranges[:, 0]).sum())
            sources[name]["tokens"] += n_tokens
            sources[name]["validation_tokens"] += n_tokens if split == "validation" else 0
    return {**report, "sources": sources}


def _key(survey: Survey, tokenizer: Tokenizer, shard_bytes: int) -> str:
    content = f"{survey.key} {tokenizer.fingerprint} {tokenizer.vocab_size} {tokenizer.end_of_text} {shard_bytes}"
    return hashlib.sha256(content.encode()).hexdigest()
