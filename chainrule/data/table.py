"""What is known of every document, in flat files beside the shards: 30 bytes each, and 256 for its signature."""

import hashlib
import os
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chainrule.base import disk_faults
from chainrule.data.pieces import Piece
from chainrule.data.similarity import DIGEST_BYTES, NO_SHINGLES, PERMUTATIONS

TRAIN, VALIDATION, CUT = 0, 1, 2
"""States of a kept document; all are TRAIN until the split. CUT begins in the training text and ends held out."""
BAD, EMPTY, DUPLICATE, NEAR_DUPLICATE, LEFT_OUT = 3, 4, 5, 6, 7
"""States of the others: refused by on_bad, without a visible character, repeated, or too like held-out text."""

DOCUMENT = np.dtype([("file", "<u4"), ("state", "u1"), ("signed", "?"), ("bytes", "<u8"), ("digest", "<u8", (2,))])
# Sixteen of the 32 bits: two different places agree by chance once in 65,536, and the file is half as large.
SIGNATURE = np.dtype(("<u2", (PERMUTATIONS,)))
CHUNK_ROWS = 1 << 15


class TableFiles:
    """The two files, appended to while reading."""

    def __init__(self, folder: Path) -> None:
        self.documents = folder / "documents.bin"
        self.signatures = folder / "signatures.bin"

    def cut(self, rows: int) -> None:
        """Leaves the first `rows` rows, which an earlier start made durable."""
        for path, kind in ((self.documents, DOCUMENT), (self.signatures, SIGNATURE)):
            with disk_faults(path, "writing"), path.open("ab") as stream:
                stream.truncate(rows * kind.itemsize)

    def append(self, documents: NDArray[Any], signatures: NDArray[np.uint32]) -> None:
        """Adds rows to both files."""
        for path, content in (
            (self.documents, documents.tobytes()),
            (self.signatures, signatures.astype("<u2").tobytes()),
        ):
            with disk_faults(path, "writing"), path.open("ab") as stream:
                stream.write(content)

    def sync(self) -> None:
        """Makes all rows durable."""
        for path in (self.documents, self.signatures):
            with disk_faults(path, "writing"), path.open("ab") as stream:
                os.fsync(stream.fileno())

    def read(self) -> NDArray[Any]:
        """All documents, mapped from the file, read only."""
        if not self.documents.stat().st_size:
            return np.empty(0, DOCUMENT)
        return np.asarray(np.memmap(self.documents, DOCUMENT, mode="r"))

    def signature_chunk(self, start: int, rows: int) -> NDArray[np.uint16]:
        """[rows, 128] of the signatures from document `start` on."""
        size = SIGNATURE.itemsize
        flat = np.fromfile(self.signatures, "<u2", count=rows * PERMUTATIONS, offset=start * size)
        return flat.reshape(-1, PERMUTATIONS)

    def agreement(self, left: NDArray[np.int64], right: NDArray[np.int64]) -> NDArray[np.float64]:
        """Share of places in which the signatures of each pair agree."""
        found = np.empty(len(left))
        for start in range(0, len(left), CHUNK_ROWS // 4):
            part = slice(start, start + CHUNK_ROWS // 4)
            found[part] = (self._signatures_of(left[part]) == self._signatures_of(right[part])).mean(axis=1)
        return found

    def _signatures_of(self, documents: NDArray[np.int64]) -> NDArray[np.uint16]:
        """Read row by row: a mapping would make 64 KiB around each row this process's memory."""
        size = SIGNATURE.itemsize
        rows = bytearray()
        with self.signatures.open("rb", buffering=0) as stream:
            for document in documents.tolist():
                stream.seek(document * size)
                rows += stream.read(size)
        return np.frombuffer(rows, "<u2").reshape(-1, PERMUTATIONS)


class Recorder:
    """From pieces with their sketches to rows of the table."""

    def __init__(self, tables: TableFiles) -> None:
        self._tables = tables
        self._rows: list[tuple[int, int, bool, int, tuple[int, int]]] = []
        self._signatures: list[NDArray[np.uint32]] = []
        self._begun: _Begun | None = None

    def add(self, file: int, piece: Piece, digest: bytes, signature: NDArray[np.uint32]) -> None:
        """Takes the next piece; one that ends its document makes a row."""
        begun, self._begun = self._begun, None
        if piece.bad is not None:
            self._close(file, BAD, 0, bytes(DIGEST_BYTES), np.full_like(signature, NO_SHINGLES))
        elif begun is None and piece.last:
            state = TRAIN if piece.content.strip() else EMPTY
            self._close(file, state, len(piece.content), digest, signature)
        else:
            begun = begun or _Begun(signature)
            begun.add(piece, digest, signature)
            if piece.last:
                self._close(file, TRAIN, begun.n_bytes, begun.digest.digest(), begun.signature)
            else:
                self._begun = begun

    def flush(self) -> int:
        """Writes the rows that are ready; returns their number."""
        n_rows = len(self._rows)
        if n_rows:
            rows, signatures = np.array(self._rows, DOCUMENT), np.array(self._signatures, np.uint32)
            rows["signed"] = (signatures != NO_SHINGLES).any(axis=1)
            self._tables.append(rows, signatures)
            self._rows, self._signatures = [], []
        return n_rows

    def _close(self, file: int, state: int, n_bytes: int, digest: bytes, signature: NDArray[np.uint32]) -> None:
        halves = int.from_bytes(digest[:8], "little"), int.from_bytes(digest[8:], "little")
        self._rows.append((file, state, False, n_bytes, halves))
        self._signatures.append(signature)


class _Begun:
    """A document of several pieces: the digest of their digests, the minimum of their signatures."""

    def __init__(self, signature: NDArray[np.uint32]) -> None:
        self.n_bytes = 0
        self.digest = hashlib.blake2b(digest_size=DIGEST_BYTES)
        self.signature = np.full_like(signature, NO_SHINGLES)

    def add(self, piece: Piece, digest: bytes, signature: NDArray[np.uint32]) -> None:
        self.n_bytes += len(piece.content)
        self.digest.update(digest)
        self.signature = np.minimum(self.signature, signature)
