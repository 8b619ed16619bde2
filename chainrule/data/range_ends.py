"""Where a large file may be divided: behind a line, a separator, a piece of its one document, or a group of rows."""

from collections.abc import Callable, Iterator, Sequence
from re import Pattern
from typing import BinaryIO, NamedTuple, Protocol

from chainrule.data.arrow import parquet_columns, row_group_starts
from chainrule.data.files import TextFile
from chainrule.data.pieces import PIECE_BYTES, cut_position
from chainrule.data.text import BYTE_ORDER_MARK

LOOK_BYTES = 1 << 16
# What is read of a piece to find the end of its last line; the whole piece when there is none.
TAIL_BYTES = 1 << 12


class Content(Protocol):
    """The bytes of a file, or what a compressed one unfolds into."""

    @property
    def size(self) -> int:
        """How many they are, to be asked for where they are known to end."""

    def reaches(self, at: int) -> bool:
        """Whether there is a byte at this place."""

    def read(self, at: int, size: int) -> bytes:
        """At most so many bytes from this place on; fewer at the end."""


class Plain(NamedTuple):
    """The bytes of a file that is not compressed."""

    raw: BinaryIO
    size: int

    def reaches(self, at: int) -> bool:
        """Whether there is a byte at this place."""
        return at < self.size

    def read(self, at: int, size: int) -> bytes:
        """At most so many bytes from this place on; fewer at the end."""
        self.raw.seek(at)
        return self.raw.read(size)


EndAfter = Callable[[Content, int], int]


def found_ends(content: Content, start: int, unit_bytes: int, end_after: EndAfter) -> Iterator[int]:
    """`start` and the ends of all ranges of about `unit_bytes` after it, each found by `end_after`."""
    yield start
    while content.reaches(start):
        start = end_after(content, start + unit_bytes) if content.reaches(start + unit_bytes) else content.size
        yield start


def line_end(content: Content, at: int) -> int:
    """The end of the line in which the byte before `at` stands."""
    place = at - 1
    while part := content.read(place, LOOK_BYTES):
        found = part.find(b"\n")
        if found >= 0:
            return place + found + 1
        place += len(part)
    return place


def boundary_end(line: Pattern[bytes]) -> EndAfter:
    """From a place to the end of the first separator line that begins there or later."""

    def end_after(content: Content, at: int) -> int:
        # The byte before tells whether a line begins there; a line at the end of what was read may go on.
        buffer, offset, place = b"", at - 1, at - 1
        while part := content.read(place, LOOK_BYTES):
            buffer, place = buffer + part, place + len(part)
            for found in line.finditer(buffer, 1):
                if found.group().endswith(b"\n"):
                    return offset + found.end()
            gone = max(0, buffer.rfind(b"\n") - 1)
            buffer, offset = buffer[gone:], offset + gone
        return place

    return end_after


def piece_ends(content: Content, start: int, unit_bytes: int) -> Iterator[int]:
    """Ranges of whole pieces: a document is cut at the same places whoever reads it."""
    yield start
    at = start or len(BYTE_ORDER_MARK) * (content.read(0, len(BYTE_ORDER_MARK)) == BYTE_ORDER_MARK)
    while content.reaches(at + PIECE_BYTES):
        at += _cut(content, at)
        if at - start >= unit_bytes:
            yield at
            start = at
    if start < content.size:
        yield content.size


def group_ends(file: TextFile, raw: BinaryIO, start: int, unit_bytes: int) -> Iterator[int] | None:
    """Ranges of whole row groups of a Parquet file; None when they do not follow each other."""
    starts = row_group_starts(parquet_columns(raw, file.path)[0], file.size)
    return _grouped([*starts, file.size], start, unit_bytes) if starts else None


def _grouped(ends: Sequence[int], start: int, unit_bytes: int) -> Iterator[int]:
    yield start
    for end in ends:
        if end - start >= unit_bytes or start < end == ends[-1]:
            yield end
            start = end


def _cut(content: Content, at: int) -> int:
    """Length of the piece that begins at `at`: what cut_position says of it, mostly from its tail alone."""
    tail_bytes = min(TAIL_BYTES, PIECE_BYTES // 2)
    tail = content.read(at + PIECE_BYTES - tail_bytes, tail_bytes)
    visible = len(tail[: max(tail.rfind(b"\n"), 0)].rstrip())
    if visible:
        return PIECE_BYTES - tail_bytes + visible
    return cut_position(content.read(at, PIECE_BYTES + 1), PIECE_BYTES)
