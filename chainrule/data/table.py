"""What is known of every document, in flat files beside the shards: 30 bytes each, and 256 for its signature."""

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from chainrule.base import disk_faults
from chainrule.data.similarity import PERMUTATIONS

KEPT, BAD, EMPTY = 0, 1, 2
"""State after reading: usable, left out by on_bad, or without any visible character."""

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

    def append(self, documents: NDArray[np.void], signatures: Sequence[NDArray[np.uint32]]) -> None:
        """Adds rows to both files."""
        for path, content in (
            (self.documents, documents.tobytes()),
            (self.signatures, np.array(signatures, np.uint32).astype("<u2").tobytes()),
        ):
            with disk_faults(path, "writing"), path.open("ab") as stream:
                stream.write(content)

    def sync(self) -> None:
        """Makes all rows durable."""
        for path in (self.documents, self.signatures):
            with disk_faults(path, "writing"), path.open("ab") as stream:
                os.fsync(stream.fileno())

    def read(self) -> NDArray[np.void]:
        """All documents, mapped from the file, read only."""
        if not self.documents.stat().st_size:
            return np.empty(0, DOCUMENT)
        return np.memmap(self.documents, DOCUMENT, mode="r")

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
            # Opened anew for each part: pages of a mapping that was closed count no more as this process's memory.
            rows = np.memmap(self.signatures, "<u2", mode="r").reshape(-1, PERMUTATIONS)
            found[part] = (rows[left[part]] == rows[right[part]]).mean(axis=1)
            del rows
        return found
