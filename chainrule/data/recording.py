"""A worker's part of pass 1: a unit's files or range are read, and their documents become rows of the table."""

import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from chainrule.base import disk_faults, new_file
from chainrule.config import TextConfig
from chainrule.data.curation import curates, judged
from chainrule.data.documents import read_documents
from chainrule.data.files import TextFile
from chainrule.data.pieces import Piece, Removal
from chainrule.data.similarity import DIGEST_BYTES, NO_SHINGLES, PERMUTATIONS, U64, sketch
from chainrule.data.streams import BinaryFileError, Span, Unfolded, raw_file
from chainrule.data.table import BAD, DOCUMENT, EMPTY, FILTERED, MENDED, TRAIN, Rows
from chainrule.data.units import Unit

BATCH_BYTES = 1 << 18
# Rows may be short, so their number bounds a batch as well.
BATCH_PIECES = 1 << 12
# Rows of a large file go through the disk rather than through a pipe and two memories.
SPOOL_BYTES = 4 << 20
COUNTED_AT_ONCE = 1 << 20
# Of what a rule leaves out so many documents are quoted.
EXAMPLES = 3
# File, place in it, and newlines before that: a worker reads each file's beginning once, however many rows are bad.
_COUNTED: list[Any] = ["", 0, 0]


class Task(NamedTuple):
    """What a worker is given: a unit and its files."""

    unit: Unit
    files: Sequence[TextFile]
    unfolded: Unfolded | None = None
    """Where the content of a range of a compressed file lies; it is removed when it was read."""


class Flaw(NamedTuple):
    """A document that was mended or is bad, or a file that is binary."""

    place: int
    """Number of the document, counted from the unit's first; of a binary file, its number among all files."""
    reason: str
    kind: str
    """mended, bad or binary."""
    places: int
    counted_as: str = ""
    """Of a file without documents, as what it is counted."""


@dataclass
class Curated:
    """What rules left out, and the addresses that were masked."""

    n: Counter[str] = field(default_factory=Counter)
    """Documents, by rule."""
    examples: dict[str, list[tuple[int, Removal]]] = field(default_factory=dict)
    """Of each rule the first of them, each with the number of its file."""
    masked: int = 0

    def leave_out(self, file: int, removal: Removal) -> None:
        """Counts a document."""
        self.n[removal.rule] += 1
        examples = self.examples.setdefault(removal.rule, [])
        if len(examples) < EXAMPLES:
            examples.append((file, removal))


class Recorded(NamedTuple):
    """What became of a unit."""

    rows: Rows
    flaws: list[Flaw]
    fragment: "Begun | None"
    """Of a range inside one document, what must be joined with the ranges before and after it."""
    curated: Curated


@dataclass
class Begun:
    """Pieces of a document that has several."""

    n_bytes: int = 0
    digests: list[bytes] = field(default_factory=list)
    signature: U64 = field(default_factory=lambda: np.full(PERMUTATIONS, NO_SHINGLES, np.uint64))
    mended: str | None = None
    bad: str | None = None
    places: int = 0
    removal: Removal | None = None

    def add(self, piece: Piece, digest: bytes, signature: U64) -> None:
        """Takes the next piece."""
        self.n_bytes += len(piece.content)
        self.digests.append(digest)
        self.signature = np.minimum(self.signature, signature)
        self.mended, self.bad = self.mended or piece.mended, self.bad or piece.bad
        self.places += piece.invalid
        self.removal = self.removal or piece.removal


def record(config: TextConfig, sets: Path, folder: Path, task: Task) -> Recorded:
    """Reads a unit; raises DataError when a file is not what it was when it was listed.

    `sets` has what was gathered of texts that must not be trained on; rows that are many go to files in `folder`.
    """
    unit = task.unit
    if task.unfolded:
        with task.unfolded.once():
            return _record(config, sets, folder, task, Span(unit.start, unit.end, task.unfolded.first_line))
    found = _record(config, sets, folder, task, Span(unit.start, unit.end))
    if found.flaws and unit.start and task.files[0].kind == "jsonl":
        # Rare: only what is wrong is told with the number of its line, which all the file before has to be read for.
        lines = lines_before(task.files[0].path, unit.start)
        found = _record(config, sets, folder, task, Span(unit.start, unit.end, lines + 1))
    return found


def _record(config: TextConfig, sets: Path, folder: Path, task: Task, span: Span) -> Recorded:
    unit = task.unit
    recorder = Recorder(folder / f"spool-{unit.file}-{unit.start}", fragment=unit.fragment)
    begins = not (unit.fragment and unit.start)
    for index, file in enumerate(task.files, start=unit.file):
        pieces = (piece for piece, _ in read_documents(file, config, span, task.unfolded))
        try:
            for piece in judged(pieces, config, sets, begins=begins) if curates(config) else pieces:
                recorder.take(index, piece)
        except BinaryFileError as fault:
            recorder.note_binary(index, fault)
    return recorder.finish()


def lines_before(path: str, position: int) -> int:
    """Newlines in the first `position` bytes; what was counted for the last place in the file is not read again."""
    known, start, lines = _COUNTED
    if known != path or start > position:
        start, lines = 0, 0
    with raw_file(path) as raw:
        raw.seek(start)
        left = position - start
        while left and (part := raw.read(min(left, COUNTED_AT_ONCE))):
            left, lines = left - len(part), lines + part.count(b"\n")
    _COUNTED[:] = path, position, lines
    return lines


def chained(before: bytes, digests: Sequence[bytes]) -> bytes:
    """The digest of a document of several pieces, goes on from that of the pieces before."""
    for digest in digests:
        before = hashlib.blake2b(before + digest, digest_size=DIGEST_BYTES).digest()
    return before


class Recorder:
    """From pieces to rows of the table, sketched in batches."""

    def __init__(self, spool: Path, *, fragment: bool = False) -> None:
        self._spool, self._fragment = Spool(spool), fragment
        self._waiting: list[tuple[int, Piece]] = []
        self._waiting_bytes = 0
        self._rows: list[tuple[int, int, bool, int, tuple[int, int]]] = []
        self._signatures: list[U64] = []
        self._flaws: list[Flaw] = []
        self._begun: Begun | None = Begun() if fragment else None
        self._curated = Curated()
        self._n = 0

    def take(self, file: int, piece: Piece) -> None:
        """The next piece of the unit."""
        self._waiting.append((file, piece))
        self._curated.masked += piece.masked
        self._waiting_bytes += len(piece.content)
        if self._waiting_bytes >= BATCH_BYTES or len(self._waiting) >= BATCH_PIECES:
            self._sketch()

    def note_binary(self, file: int, fault: BinaryFileError) -> None:
        """A file without documents."""
        self._sketch()
        self._flaws.append(Flaw(file, str(fault), "binary", 0, fault.counted_as))

    def finish(self) -> Recorded:
        """All that was taken."""
        self._sketch()
        return Recorded(self._spool.rows(), self._flaws, self._begun, self._curated)

    def _sketch(self) -> None:
        waiting, self._waiting, self._waiting_bytes = self._waiting, [], 0
        found = sketch([piece.content for _, piece in waiting])
        for (file, piece), digest, signature in zip(waiting, found.digests, found.signatures, strict=True):
            self._add(file, piece, digest, signature)
        if self._rows:
            self._spool.add(table_rows(self._rows, self._signatures))
            self._rows, self._signatures = [], []

    def _add(self, file: int, piece: Piece, digest: bytes, signature: U64) -> None:
        if self._begun is None and piece.last:
            state = TRAIN if piece.content.strip() else EMPTY
            self._close(file, piece, state, len(piece.content), digest, signature)
            return
        self._begun = self._begun or Begun()
        self._begun.add(piece, digest, signature)
        if piece.last and not self._fragment:
            begun, self._begun = self._begun, None
            whole = piece._replace(mended=begun.mended, invalid=begun.places, removal=begun.removal)
            self._close(file, whole, TRAIN, begun.n_bytes, chained(b"", begun.digests), begun.signature)

    def _close(self, file: int, piece: Piece, state: int, n_bytes: int, digest: bytes, signature: U64) -> None:
        if piece.bad is not None:
            self._flaws.append(Flaw(self._n, piece.bad, "bad", piece.invalid))
            state, n_bytes, digest, signature = BAD, 0, bytes(DIGEST_BYTES), np.full_like(signature, NO_SHINGLES)
        elif piece.mended is not None:
            self._flaws.append(Flaw(self._n, piece.mended, "mended", piece.invalid))
            state = MENDED
        if piece.removal and state != BAD:
            state = FILTERED
            self._curated.leave_out(file, piece.removal)
        self._rows.append((file, state, False, n_bytes, halves(digest)))
        self._signatures.append(signature)
        self._n += 1


def halves(digest: bytes) -> tuple[int, int]:
    """A digest as the table holds it."""
    return int.from_bytes(digest[:8], "little"), int.from_bytes(digest[8:], "little")


def table_rows(rows: Sequence[tuple[int, int, bool, int, tuple[int, int]]], signatures: Sequence[U64]) -> Rows:
    """The rows and their signatures as bytes, with `signed` filled in."""
    documents, places = np.array(rows, DOCUMENT), np.array(signatures, np.uint64)
    documents["signed"] = (places != NO_SHINGLES).any(axis=1)
    return Rows(len(rows), documents.tobytes(), places.astype("<u2").tobytes())


class Spool:
    """Rows that wait to be handed over: in memory, or on the disk when they are many."""

    def __init__(self, path: Path) -> None:
        self._path, self._n, self._bytes, self._on_disk = path, 0, 0, False
        self._parts: list[Rows] = []

    def add(self, rows: Rows) -> None:
        """Takes further rows."""
        self._parts.append(rows)
        self._n += rows.n
        self._bytes += len(rows.documents) + len(rows.signatures)
        if self._bytes >= SPOOL_BYTES:
            self._write()

    def rows(self) -> Rows:
        """All rows."""
        if not self._on_disk:
            return Rows(self._n, *self._joined())
        self._write()
        return Rows(self._n, b"", b"", str(self._path))

    def _joined(self) -> tuple[bytes, bytes]:
        parts, self._parts, self._bytes = self._parts, [], 0
        return b"".join(part.documents for part in parts), b"".join(part.signatures for part in parts)

    def _write(self) -> None:
        for name, content in zip(("documents", "signatures"), self._joined(), strict=True):
            path = Path(f"{self._path}.{name}")
            with disk_faults(path, "writing"), path.open("ab") if self._on_disk else new_file(path) as stream:
                stream.write(content)
        self._on_disk = True
