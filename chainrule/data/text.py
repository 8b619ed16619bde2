"""Plain text to documents: a whole file, or what stands between separator lines.

One rule for odd bytes: content is kept as it is (CR LF, NUL after the first 8 KiB, U+FFFD, zero-width marks); only a
UTF-8 byte order mark at the start of a file is dropped. Invalid UTF-8 follows `on_bad`.
"""

import re
from collections.abc import Iterator
from typing import Literal

from chainrule.base import DataError
from chainrule.data.pieces import PIECE_BYTES, Piece, cut_position, cut_text
from chainrule.data.streams import ByteStream

OnBad = Literal["error", "skip", "replace"]
BYTE_ORDER_MARK = b"\xef\xbb\xbf"
REPLACEMENT = "\ufffd".encode()
# Blanks after a separator that still make it one; bounded, so that a line end is never searched for without end.
MOST_BLANKS = 16


def text_pieces(stream: ByteStream, separator: str | None, on_bad: OnBad) -> Iterator[Piece]:
    """The documents of a plain text file."""
    parts = _separated(stream, separator) if separator else _whole(stream)
    bad: str | None = None
    for content, offset, last in parts:
        piece = checked(content, f"{stream.name}: byte {{offset}}", offset, on_bad, last=last) if bad is None else None
        bad = bad or (piece.bad if piece else None)
        if bad is None and piece:
            yield piece
        elif last:
            yield Piece(b"", True, bad, 1)
            bad = None


def checked(content: bytes, place: str, offset: int, on_bad: OnBad, *, last: bool) -> Piece:
    """The bytes as a piece of valid UTF-8; `place` names them, with {offset} for the first invalid byte's."""
    try:
        content.decode()
    except UnicodeDecodeError as fault:
        where = place.replace("{offset}", str(offset + fault.start))
        reason = f"{where}: invalid UTF-8 (byte 0x{content[fault.start]:02x}: {fault.reason})"
        if on_bad == "error":
            raise DataError(
                f"{reason}; convert the file (iconv -f LATIN1 -t UTF-8), or set text.on_bad to skip or replace"
            ) from None
        if on_bad == "skip":
            return Piece(b"", last, reason, 1)
        mended = content.decode(errors="replace").encode()
        return Piece(mended, last, None, mended.count(REPLACEMENT) - content.count(REPLACEMENT))
    return Piece(content, last)


def _whole(stream: ByteStream) -> Iterator[tuple[bytes, int, bool]]:
    """Content, its offset in the file, and whether it ends the document; the file is one document."""
    buffer, offset = _start(stream)
    while True:
        more = stream.read(PIECE_BYTES + 1 - len(buffer))
        buffer = buffer + more if buffer else more
        if len(buffer) <= PIECE_BYTES:
            yield buffer, offset, True
            return
        cut = cut_position(buffer, PIECE_BYTES)
        yield buffer[:cut], offset, False
        buffer, offset = buffer[cut:], offset + cut


def _separated(stream: ByteStream, separator: str) -> Iterator[tuple[bytes, int, bool]]:
    """The same with a document for each stretch between separator lines; nothing after the last one is no document."""
    line = re.compile(rb"^%s[ \t\r]{0,%d}(?:\n|\Z)" % (re.escape(separator.encode()), MOST_BLANKS), re.MULTILINE)
    # With this much beyond a piece, every separator line that starts inside the piece is seen whole.
    wanted = PIECE_BYTES + len(separator.encode()) + MOST_BLANKS + 2
    buffer, offset = _start(stream)
    start, ended, opened = 0, False, False
    while True:
        if len(buffer) - start < wanted and not ended:
            more = stream.read(4 * wanted)
            # The byte before stays: it tells whether a line starts here.
            gone = max(start - 1, 0)
            buffer, offset, start, ended = buffer[gone:] + more, offset + gone, start - gone, not more
            continue
        found = line.search(buffer, start)
        if found and not ended and found.end() == len(buffer):
            found = None
        end = found.start() if found else len(buffer)
        if end - start > PIECE_BYTES:
            cut = start + cut_position(buffer[start : start + PIECE_BYTES + 1], PIECE_BYTES)
            yield buffer[start:cut], offset + start, False
            start, opened = cut, True
        elif found:
            yield buffer[start:end], offset + start, True
            start, opened = found.end(), False
        else:
            if end > start or opened:
                yield buffer[start:], offset + start, True
            return


def _start(stream: ByteStream) -> tuple[bytes, int]:
    """What was read to look for a byte order mark, without it, and how many bytes went."""
    head = stream.read(len(BYTE_ORDER_MARK))
    return (b"", len(head)) if head == BYTE_ORDER_MARK else (head, 0)


def row_pieces(text: str, place: str, on_bad: OnBad, invalid: int = 0) -> Iterator[Piece]:
    """A document that came out of a row, in which `invalid` places were replaced already.

    JSON can name lone surrogates, which no UTF-8 has: they follow `on_bad`.
    """
    try:
        content = text.encode()
    except UnicodeEncodeError as fault:
        reason = f"{place}: the text holds a lone surrogate (\\u{ord(text[fault.start]):04x}), half a character"
        if on_bad == "error":
            raise DataError(f"{reason}; mend the row, or set text.on_bad to skip or replace") from None
        if on_bad == "skip":
            yield Piece(b"", True, reason, 1)
            return
        mended = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
        invalid += mended.count("\ufffd") - text.count("\ufffd")
        content = mended.encode()
    for part, last in cut_text(content):
        yield Piece(part, last, None, invalid if last else 0)
