"""Pass 1: every file is read once; of each document its size, digest and signature are written to the table.

The state is journalled at the ends of files, so that an interrupted scan goes on from there to the same bytes.
"""

import json
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from chainrule.base import disk_faults, write_json
from chainrule.config import TextConfig
from chainrule.data.documents import read_documents
from chainrule.data.files import TextFile
from chainrule.data.pieces import Piece
from chainrule.data.similarity import DIGEST_BYTES, Sketch, sketch
from chainrule.data.similarity import EMPTY as NO_SHINGLES
from chainrule.data.streams import BinaryFileError
from chainrule.data.table import BAD, DOCUMENT, EMPTY, KEPT, TableFiles
from chainrule.data.workers import ordered_map, worker_count
from chainrule.run import append_row

Progress = Callable[[str, int, int], None]
"""Called with the phase ("reading" or "tokens"), the bytes done and the bytes in all."""

BATCH_BYTES = 1 << 18
JOURNAL_BYTES = 256 << 20
NO_DOCUMENT = "binary"


class Item(NamedTuple):
    """A piece on its way, with its file and the bytes read of all files until then."""

    file: int
    done: int
    piece: Piece


@dataclass
class Counts:
    """What a resumed scan must know beside the table."""

    next_file: int = 0
    documents: int = 0
    left_out_bytes: int = 0
    """Length of the list of what was left out."""
    found: Counter[str] = field(default_factory=Counter)
    """binary files, bad places, replaced places."""


class Scan:
    """One pass over the files, written into `folder`."""

    def __init__(self, files: Sequence[TextFile], config: TextConfig, folder: Path, key: str) -> None:
        self.files, self.config, self.folder, self.key = files, config, folder, key
        self.tables = TableFiles(folder)
        self.left_out = folder / "left_out.jsonl"
        self.journal = folder / "scan.json"
        self.counts = self._resumed()
        self._open: list[tuple[bytes, NDArray[np.uint32], int]] = []

    def run(self, workers: int, on_progress: Progress | None) -> Counts:
        """Reads what is not read yet; returns the counts of all."""
        total = sum(file.size for file in self.files)
        journalled = 0
        for items, sketched in ordered_map(_sketch_items, self._batches(), worker_count(workers, total)):
            rows: list[tuple[Any, ...]] = []
            signatures: list[NDArray[np.uint32]] = []
            for index, item in enumerate(items):
                if item.file > self.counts.next_file:
                    if item.done - journalled > JOURNAL_BYTES:
                        self._append(rows, signatures)
                        self._checkpoint(item.file)
                        journalled = item.done
                    self.counts.next_file = item.file
                row = self._add(item, sketched.digests[index], sketched.signatures[index])
                if row:
                    rows.append(row[0])
                    signatures.append(row[1])
            self._append(rows, signatures)
            if on_progress and items:
                on_progress("reading", items[-1].done, total)
        return self.counts

    def _batches(self) -> Iterator[list[Item]]:
        batch: list[Item] = []
        waiting = 0
        for item in self._items():
            batch.append(item)
            waiting += len(item.piece.content)
            # Rows may be empty, so their number counts too.
            if waiting >= BATCH_BYTES or len(batch) >= 1 << 12:
                yield batch
                batch, waiting = [], 0
        if batch:
            yield batch

    def _items(self) -> Iterator[Item]:
        done = sum(file.size for file in self.files[: self.counts.next_file])
        for index in range(self.counts.next_file, len(self.files)):
            file = self.files[index]
            try:
                for piece, consumed in read_documents(file, self.config):
                    yield Item(index, done + consumed, piece)
            except BinaryFileError as fault:
                if file.named:
                    raise
                yield Item(index, done, Piece(b"", True, f"{NO_DOCUMENT}: {fault}"))
            done += file.size

    def _add(self, item: Item, digest: bytes, signature: NDArray[np.uint32]) -> tuple[Any, NDArray[np.uint32]] | None:
        """The finished document's row and signature, or None when the document goes on (or is none)."""
        piece = item.piece
        self.counts.found["replaced"] += piece.replaced
        if piece.bad is not None:
            self._open.clear()
            append_row(self.left_out, {"reason": piece.bad})
            if piece.bad.startswith(NO_DOCUMENT):
                self.counts.found["binary"] += 1
                return None
            self.counts.found["bad"] += 1
            return self._row(item.file, BAD, 0, bytes(DIGEST_BYTES), np.full_like(signature, NO_SHINGLES))
        self._open.append((digest, signature, len(piece.content)))
        if not piece.last:
            return None
        parts, self._open = self._open, []
        if len(parts) == 1:
            state = KEPT if piece.content.strip() else EMPTY
            return self._row(item.file, state, parts[0][2], digest, signature)
        joined = sketch([b"".join(part[0] for part in parts)]).digests[0]
        merged = np.minimum.reduce([part[1] for part in parts])
        return self._row(item.file, KEPT, sum(part[2] for part in parts), joined, merged)

    def _row(
        self, file: int, state: int, size: int, digest: bytes, signature: NDArray[np.uint32]
    ) -> tuple[Any, NDArray[np.uint32]]:
        self.counts.documents += 1
        signed = bool(signature[0] != NO_SHINGLES or (signature != NO_SHINGLES).any())
        return (file, state, signed, size, tuple(np.frombuffer(digest, "<u8").tolist())), signature

    def _append(self, rows: list[tuple[Any, ...]], signatures: list[NDArray[np.uint32]]) -> None:
        if rows:
            self.tables.append(np.array(rows, DOCUMENT), signatures)
        rows.clear()
        signatures.clear()

    def _checkpoint(self, next_file: int) -> None:
        self.tables.sync()
        self.counts.next_file = next_file
        self.counts.left_out_bytes = self.left_out.stat().st_size if self.left_out.exists() else 0
        write_json(self.journal, {"key": self.key, **vars(self.counts), "found": dict(self.counts.found)})

    def _resumed(self) -> Counts:
        """The counts of an earlier start of the same scan, with the files cut back to them; else fresh ones."""
        try:
            saved = json.loads(self.journal.read_text())
        except (OSError, ValueError):
            saved = {}
        counts = Counts()
        if saved.pop("key", None) == self.key:
            counts = Counts(**{**saved, "found": Counter(saved["found"])})
        self.tables.cut(counts.documents)
        with disk_faults(self.left_out, "writing"), self.left_out.open("ab") as stream:
            stream.truncate(counts.left_out_bytes)
        return counts


def _sketch_items(items: list[Item]) -> Sketch:
    return sketch([item.piece.content for item in items])
