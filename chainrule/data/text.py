"""Plain text to documents: a whole file, or what stands between separator lines.

One rule for odd bytes: content is kept as it is (CR LF, NUL after the first 8 KiB, U+FFFD, zero-width marks); only a
UTF-8 byte order mark at the start of a file is dropped. Invalid UTF-8 becomes U+FFFD, and its place is told: what is
done about it is decided by policy.py.
"""

from collections.abc import Callable, Iterator

from chainrule.data.pieces import PIECE_BYTES, Piece, cut_position, cut_text
from chainrule.data.separators import LOOK_BYTES, Boundary, boundary_of
from chainrule.data.streams import ByteStream

BYTE_ORDER_MARK = b"\xef\xbb\xbf"
REPLACEMENT = "\ufffd".encode()


def text_pieces(stream: ByteStream, separator: str) -> Iterator[Piece]:
    """The documents of a plain text file; a range that ends inside a document has no last piece of it."""
    boundary = boundary_of(separator, stream.file.path, lambda: stream.file_head(LOOK_BYTES))
    for content, offset, last in separated(stream, boundary) if boundary else _whole(stream):
        place = f"{stream.name}: byte {{offset}}"
        piece = checked(content, place, offset, stream.told_encoding, last=last)
        if boundary and boundary.dropped and not piece.bad:
            piece = piece._replace(content=boundary.dropped.sub(b"", piece.content))
        yield piece


def checked(content: bytes, place: str, offset: int, told: Callable[[bytes], str], *, last: bool) -> Piece:
    """The bytes as a piece of valid UTF-8; `place` names them, with {offset} for the first invalid byte's.

    `told` says of bytes that are none what they are instead.
    """
    try:
        content.decode()
    except UnicodeDecodeError as fault:
        where = place.replace("{offset}", str(offset + fault.start))
        reason = f"{where}: invalid UTF-8 (byte 0x{content[fault.start]:02x}: {fault.reason}){told(content)}"
        mended = content.decode(errors="replace").encode()
        return Piece(mended, last, None, mended.count(REPLACEMENT) - content.count(REPLACEMENT), reason)
    return Piece(content, last)


def _whole(stream: ByteStream) -> Iterator[tuple[bytes, int, bool]]:
    """Content, its offset in the file, and whether it ends the document; the file is one document."""
    buffer, offset = _start(stream)
    while True:
        more = stream.read(PIECE_BYTES + 1 - len(buffer))
        buffer = buffer + more if buffer else more
        if len(buffer) <= PIECE_BYTES:
            # What is damaged is given up to there, and tells of it when more is asked for: half a text is none.
            stream.read(1)
            yield buffer, offset, stream.ends_file
            return
        cut = cut_position(buffer, PIECE_BYTES)
        yield buffer[:cut], offset, False
        buffer, offset = buffer[cut:], offset + cut


def separated(stream: ByteStream, boundary: Boundary) -> Iterator[tuple[bytes, int, bool]]:
    """The same with a document for each stretch between boundaries; nothing after the last one is no document."""
    # With this much beyond a piece, every boundary that starts inside the piece is seen whole.
    wanted = PIECE_BYTES + boundary.most_bytes
    buffer, offset = _start(stream)
    start, ended, opened = 0, False, False
    looked, key = 0, None
    while True:
        if len(buffer) - start < wanted and not ended:
            more = stream.read(4 * wanted)
            # The byte before stays: it tells whether a line starts here.
            gone = max(start - 1, 0)
            buffer, ended = buffer[gone:] + more, not more
            offset, start, looked = offset + gone, start - gone, max(looked - gone, 0)
            continue
        found = boundary.line.search(buffer, max(start, looked))
        if found and not ended and found.end() == len(buffer):
            found = None
        end = found.start() if found else len(buffer)
        if end - start > PIECE_BYTES:
            cut = start + cut_position(buffer[start : start + PIECE_BYTES + 1], PIECE_BYTES)
            yield buffer[start:cut], offset + start, False
            start, opened = cut, True
        elif found:
            looked = found.end()
            if boundary.by_key and key == (key := found.group(1)):
                continue
            if not boundary.kept or end > start or opened:
                yield buffer[start:end], offset + start, True
            start, opened = end if boundary.kept else looked, False
        else:
            if end > start or opened:
                yield buffer[start:], offset + start, True
            return


def _start(stream: ByteStream) -> tuple[bytes, int]:
    """What was read to look for a byte order mark, without it, and its place in the file."""
    if stream.span.start:
        return b"", stream.span.start
    head = stream.read(len(BYTE_ORDER_MARK))
    return (b"", len(head)) if head == BYTE_ORDER_MARK else (head, 0)


def row_pieces(text: str, place: str, invalid: int = 0, mended: str | None = None) -> Iterator[Piece]:
    """A document that came out of a row, in which `invalid` places were replaced already, the first being `mended`.

    JSON can name lone surrogates, which no UTF-8 has: they are replaced like other invalid places.
    """
    try:
        content = text.encode()
    except UnicodeEncodeError as fault:
        mended = mended or f"{place}: {_half_a_character(ord(text[fault.start]))}"
        whole = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
        invalid += whole.count("\ufffd") - text.count("\ufffd")
        content = whole.encode()
    for part, last in cut_text(content):
        yield Piece(part, last, None, invalid if last else 0, mended if last else None)


def _half_a_character(code: int) -> str:
    # Where Python decodes whole files, bytes that are no UTF-8 become these.
    if 0xDC80 <= code <= 0xDCFF:
        return f"invalid UTF-8 (byte 0x{code - 0xDC00:02x})"
    return f"the text holds a lone surrogate (\\u{code:04x}), half a character"
