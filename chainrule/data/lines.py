"""The lines of a file, one at a time, decoded; a line that has no end is refused before it fills the memory."""

from collections.abc import Iterator

from chainrule.base import bytes_text
from chainrule.data.pieces import Piece
from chainrule.data.policy import DamagedFileError
from chainrule.data.streams import ByteStream
from chainrule.data.text import BYTE_ORDER_MARK, checked

# A row is parsed whole, so its line must fit: a gigabyte without a newline is not a row.
MOST_LINE_BYTES = 64 << 20
CHUNK_BYTES = 1 << 20


def decoded_lines(stream: ByteStream) -> Iterator[tuple[int, Piece]]:
    """The number of each line, from 1, and the line with its newline, mended where it was no UTF-8.

    Raises DamagedFileError for a compressed file with more lines than bytes.
    """
    for number, offset, line in _lines(stream):
        stream.refuse_rows(number, "lines")
        place = f"{stream.name}:{number}: byte {{offset}}"
        yield number, checked(line, place, offset, stream.told_encoding, last=True)


def _lines(stream: ByteStream) -> Iterator[tuple[int, int, bytes]]:
    """Number, byte offset and content of each line."""
    buffer, offset, number = stream.read(CHUNK_BYTES), stream.span.start, stream.span.first_line
    if not offset and buffer.startswith(BYTE_ORDER_MARK):
        buffer, offset = buffer[len(BYTE_ORDER_MARK) :], len(BYTE_ORDER_MARK)
    while buffer:
        lines = buffer.splitlines(keepends=True) if b"\r" not in buffer else _split(buffer)
        rest = b"" if lines[-1].endswith(b"\n") else lines.pop()
        for line in lines:
            yield number, offset, line
            offset, number = offset + len(line), number + 1
        if len(rest) > MOST_LINE_BYTES:
            raise DamagedFileError(
                f"{stream.name}:{number}: the line that starts at byte {offset} is longer than "
                f"{bytes_text(MOST_LINE_BYTES)}; one row stands on one line"
            )
        # Reading as much again as is left keeps the work linear when one line is long.
        more = stream.read(max(CHUNK_BYTES, len(rest)))
        if rest and not more:
            yield number, offset, rest
            return
        buffer = rest + more


def _split(buffer: bytes) -> list[bytes]:
    """Lines by newline alone: a carriage return inside a line stays there."""
    lines = [line + b"\n" for line in buffer.split(b"\n")]
    lines[-1] = lines[-1][:-1]
    return lines if lines[-1] else lines[:-1]
