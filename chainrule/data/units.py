"""Text is read by units: a few small files, a whole file, or a range of a large plain one; one worker reads each.

Where a unit begins and ends depends on the files and settings alone, never on the workers or on where an earlier start
was cut off, so that a journal can name a unit and results are the same to the byte.
"""

from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from re import Pattern
from typing import BinaryIO, NamedTuple

from chainrule.config import TextConfig
from chainrule.data.arrow import parquet_columns, row_group_starts
from chainrule.data.files import TextFile
from chainrule.data.pieces import PIECE_BYTES, cut_position
from chainrule.data.policy import DamagedFileError
from chainrule.data.separators import LOOK_BYTES as RECOGNISED_BYTES
from chainrule.data.separators import boundary_of
from chainrule.data.streams import HEAD_BYTES
from chainrule.data.text import BYTE_ORDER_MARK
from chainrule.data.wide import marked_encoding

# A tenth of a second of a core: small enough for memory, progress and a resume, large enough to be worth sending.
UNIT_BYTES = 4 << 20
UNIT_FILES = 1000
# Compressed text unfolds into about so many times its size.
UNFOLDS = 4
LOOK_BYTES = 1 << 16
# What is read of a piece to find the end of its last line; the whole piece when there is none.
TAIL_BYTES = 1 << 12


class Unit(NamedTuple):
    """`n_files` whole files from number `file` on (end is 0), or the bytes start..end of that one file."""

    file: int
    n_files: int
    start: int = 0
    end: int = 0
    fragment: bool = False
    """The range lies inside one document, which is the whole file."""


def plan_units(files: Sequence[TextFile], config: TextConfig, file: int = 0, start: int = 0) -> Iterator[Unit]:
    """The units from the beginning of one of them on, in reading order."""
    first, weight = file, 0
    for index in range(file, len(files)):
        begin = start if index == file else 0
        ends = _ends(files[index], config, begin) if begin or files[index].size >= 2 * UNIT_BYTES else None
        if ends is not None:
            if first < index:
                yield Unit(first, index - first)
            fragments = _is_one_document(files[index], config)
            for range_start, range_end in pairwise(ends):
                yield Unit(index, 1, range_start, range_end, fragments)
            first, weight = index + 1, 0
            continue
        weight += files[index].size * (UNFOLDS if files[index].codec else 1)
        if weight >= UNIT_BYTES or index + 1 - first >= UNIT_FILES:
            yield Unit(first, index + 1 - first)
            first, weight = index + 1, 0
    if first < len(files):
        yield Unit(first, len(files) - first)


def _head(file: TextFile, size: int) -> bytes:
    with Path(file.path).open("rb") as raw:
        return raw.read(size)


def _is_one_document(file: TextFile, config: TextConfig) -> bool:
    return file.kind == "text" and not boundary_of(config.separator, file.path, lambda: _head(file, RECOGNISED_BYTES))


def _ends(file: TextFile, config: TextConfig, start: int) -> Iterator[int] | None:
    """`start` and the ends of all ranges after it; None for a file that one worker must read whole.

    Compressed text has no places to begin at, and a newline in a table may stand inside a value.
    """
    if file.codec or file.kind not in ("text", "jsonl", "parquet"):
        return None
    if file.kind == "parquet":
        return _group_ends(file, start)
    try:
        head = _head(file, RECOGNISED_BYTES)
    except OSError:
        # Whoever reads it says so.
        return None
    if b"\0" in head[:HEAD_BYTES] or marked_encoding(head):
        return None
    if file.kind == "jsonl":
        return _found_ends(file, start, _line_end)
    boundary = boundary_of(config.separator, file.path, lambda: head)
    if boundary is None:
        return _piece_ends(file, start)
    if not boundary.divisible:
        return None
    return _found_ends(file, start, lambda raw, at: _boundary_end(raw, at, boundary.line))


def _found_ends(file: TextFile, start: int, end_after: Callable[[BinaryIO, int], int]) -> Iterator[int]:
    with Path(file.path).open("rb", buffering=0) as raw:
        yield start
        while start < file.size:
            start = end_after(raw, start + UNIT_BYTES) if start + UNIT_BYTES < file.size else file.size
            yield start


def _group_ends(file: TextFile, start: int) -> Iterator[int] | None:
    """Ranges of whole row groups."""
    try:
        with Path(file.path).open("rb") as raw:
            starts = row_group_starts(parquet_columns(raw, file.path)[0])
    except (DamagedFileError, OSError):
        return None
    return _grouped([*starts, file.size], start) if starts else None


def _grouped(ends: Sequence[int], start: int) -> Iterator[int]:
    yield start
    for end in ends:
        if end - start >= UNIT_BYTES or start < end == ends[-1]:
            yield end
            start = end


def _line_end(raw: BinaryIO, at: int) -> int:
    """The end of the line in which the byte before `at` stands."""
    raw.seek(at - 1)
    while part := raw.read(LOOK_BYTES):
        found = part.find(b"\n")
        if found >= 0:
            return raw.tell() - len(part) + found + 1
    return raw.tell()


def _boundary_end(raw: BinaryIO, at: int, line: Pattern[bytes]) -> int:
    """The end of the first separator line that begins at `at` or later."""
    # The byte before tells whether a line begins there; a line at the end of what was read may go on.
    raw.seek(at - 1)
    buffer, offset = b"", at - 1
    while part := raw.read(LOOK_BYTES):
        buffer += part
        for found in line.finditer(buffer, 1):
            if found.group().endswith(b"\n"):
                return offset + found.end()
        gone = max(0, buffer.rfind(b"\n") - 1)
        buffer, offset = buffer[gone:], offset + gone
    return raw.tell()


def _piece_ends(file: TextFile, start: int) -> Iterator[int]:
    """Ranges of whole pieces: a document is cut at the same places whoever reads it."""
    with Path(file.path).open("rb", buffering=0) as raw:
        yield start
        at = start or len(BYTE_ORDER_MARK) * (raw.read(len(BYTE_ORDER_MARK)) == BYTE_ORDER_MARK)
        while file.size - at > PIECE_BYTES:
            at += _cut(raw, at)
            if at - start >= UNIT_BYTES:
                yield at
                start = at
        if start < file.size:
            yield file.size


def _cut(raw: BinaryIO, at: int) -> int:
    """Length of the piece that begins at `at`: what cut_position says of it, mostly from its tail alone."""
    tail_bytes = min(TAIL_BYTES, PIECE_BYTES // 2)
    raw.seek(at + PIECE_BYTES - tail_bytes)
    tail = raw.read(tail_bytes)
    visible = len(tail[: max(tail.rfind(b"\n"), 0)].rstrip())
    if visible:
        return PIECE_BYTES - tail_bytes + visible
    raw.seek(at)
    return cut_position(raw.read(PIECE_BYTES + 1), PIECE_BYTES)
