"""What is known of every document, in flat files beside the shards: 30 bytes each, and 256 for its signature.

Each file carries a checksum (CRC-32) that grows with it, so that an interrupted scan and a finished survey know damage.
"""

import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from chainrule.base import disk_faults, fsync_file, write_bytes
from chainrule.data.arrays import read_array
from chainrule.data.similarity import PERMUTATIONS

TRAIN, VALIDATION, CUT = 0, 1, 2
"""States of a kept document; all are TRAIN until the split. CUT begins in the training text and ends held out."""
BAD, EMPTY, DUPLICATE, NEAR_DUPLICATE, LEFT_OUT = 3, 4, 5, 6, 7
"""States of the others: refused by on_bad, without a visible character, repeated, or too like held-out text."""
FILTERED = 9
"""State of a document that a rule of text.filters, text.languages or text.decontaminate leaves out."""
MENDED = 8
"""State in the table of a document with U+FFFD for invalid bytes: on_bad decides whether it is BAD or kept."""

DOCUMENT = np.dtype([("file", "<u4"), ("state", "u1"), ("signed", "?"), ("bytes", "<u8"), ("digest", "<u8", (2,))])
# Sixteen bits of each place: two different places agree by chance once in 65,536, and the file is small.
SIGNATURE = np.dtype(("<u2", (PERMUTATIONS,)))
UNIT = np.dtype(
    [
        ("file", "<u4"),
        ("n_files", "<u4"),
        ("start", "<u8"),
        ("end", "<u8"),
        ("fragment", "?"),
        ("document", "<u8"),
        ("before", "<u8"),
    ]
)
"""A unit of reading with its first document, and the bytes of that document that stand in earlier units."""
CHUNK_ROWS = 1 << 15
CHUNK_BYTES = 1 << 20


class Rows(NamedTuple):
    """Rows of documents and signatures, as bytes, or in two files when they are many."""

    n: int
    documents: bytes
    signatures: bytes
    spooled: str = ""
    """Where they lie instead: this path with .documents and .signatures after it."""


class SealedFile:
    """A file that is only appended to, with the length and checksum of what was written."""

    def __init__(self, path: Path) -> None:
        self.path, self.size, self.crc = path, 0, 0

    def append(self, content: bytes) -> None:
        """Adds bytes at the end."""
        with disk_faults(self.path, "writing"), self.path.open("ab") as stream:
            stream.write(content)
        self.size, self.crc = self.size + len(content), zlib.crc32(content, self.crc)

    def append_file(self, path: Path) -> None:
        """Moves the content of another file to the end."""
        with path.open("rb") as stream:
            while part := stream.read(CHUNK_BYTES):
                self.append(part)
        path.unlink()

    def replace(self, content: bytes) -> None:
        """Makes `content` all that stands in the file, whole or not at all."""
        write_bytes(self.path, content)
        self.size, self.crc = len(content), zlib.crc32(content)

    def sync(self) -> list[int]:
        """Makes all durable; the seal that `cut` wants."""
        with disk_faults(self.path, "writing"), self.path.open("ab") as stream:
            fsync_file(stream)
        return self.seal

    @property
    def seal(self) -> list[int]:
        """Length and checksum."""
        return [self.size, self.crc]

    def cut(self, seal: list[int]) -> bool:
        """Leaves the first bytes when they are the sealed ones, else none; returns whether they are."""
        kept = self.is_whole(seal)
        self.size, self.crc = seal if kept else (0, 0)
        with disk_faults(self.path, "writing"), self.path.open("ab") as stream:
            stream.truncate(self.size)
        return kept

    def is_whole(self, seal: list[int]) -> bool:
        """Whether the file begins with the bytes of which this is the seal."""
        left, crc = seal[0], 0
        try:
            with self.path.open("rb") as stream:
                while left and (part := stream.read(min(left, CHUNK_BYTES))):
                    left, crc = left - len(part), zlib.crc32(part, crc)
        except FileNotFoundError:
            pass
        return not left and crc == seal[1]


class TableFiles:
    """The files of a scan: documents, their signatures, the units in which they were read, and the flawed ones."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.documents = SealedFile(folder / "documents.bin")
        self.signatures = SealedFile(folder / "signatures.bin")
        self.units = SealedFile(folder / "units.bin")
        self.flaws = SealedFile(folder / "flaws.jsonl")

    @property
    def all(self) -> dict[str, SealedFile]:
        """The files by their names in a journal."""
        return {"documents": self.documents, "signatures": self.signatures, "units": self.units, "flaws": self.flaws}

    def append(self, rows: Rows) -> None:
        """Adds documents and signatures."""
        if rows.spooled:
            self.documents.append_file(Path(f"{rows.spooled}.documents"))
            self.signatures.append_file(Path(f"{rows.spooled}.signatures"))
        elif rows.n:
            self.documents.append(rows.documents)
            self.signatures.append(rows.signatures)

    def sync(self) -> dict[str, list[int]]:
        """Makes all rows durable; returns the seals."""
        return {name: file.sync() for name, file in self.all.items()}

    def cut(self, seals: dict[str, list[int]]) -> list[str]:
        """Leaves what was sealed, or nothing at all when any of it is damaged; returns the names of damaged files."""
        damaged = [file.path.name for name, file in self.all.items() if not file.is_whole(seals.get(name, [0, 0]))]
        for name, file in self.all.items():
            file.cut([0, 0] if damaged else seals.get(name, [0, 0]))
        return damaged

    def read(self) -> NDArray[Any]:
        """All documents, mapped from the file, read only."""
        return _mapped(self.documents.path, DOCUMENT)

    def read_units(self) -> NDArray[Any]:
        """All units, in the order of reading."""
        return read_array(self.units.path, UNIT)

    def signature_chunks(self, n: int) -> Iterator[tuple[int, NDArray[np.uint16]]]:
        """The first row and the content ([rows, 128]) of each stretch of the signatures."""
        for row in range(0, n, CHUNK_ROWS):
            rows = min(CHUNK_ROWS, n - row)
            offset = row * SIGNATURE.itemsize
            flat = read_array(self.signatures.path, "<u2", count=rows * PERMUTATIONS, offset=offset)
            yield row, flat.reshape(-1, PERMUTATIONS)

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
        with self.signatures.path.open("rb", buffering=0) as stream:
            for document in documents.tolist():
                stream.seek(document * size)
                rows += stream.read(size)
        return np.frombuffer(rows, "<u2").reshape(-1, PERMUTATIONS)


def _mapped(path: Path, kind: np.dtype[Any]) -> NDArray[Any]:
    if not path.stat().st_size:
        return np.empty(0, kind)
    return np.asarray(np.memmap(path, kind, mode="r"))
