"""A mailbox (.mbox: RFC 4155), message by message, each one document: subject and text as in letters.py."""

import re
from collections.abc import Iterator

from chainrule.base import MissingPackageError, bytes_text
from chainrule.data.letters import letter_text
from chainrule.data.pieces import Piece
from chainrule.data.separators import MAILBOX
from chainrule.data.streams import ByteStream, UnreadFileError
from chainrule.data.text import row_pieces, separated

# With its attachments, which must be passed over; providers end at 25 to 50 MB.
MOST_MESSAGE = 128 << 20
BEGINNING = b"From "
# Lines that begin like a new message were quoted when they were stored.
QUOTED = re.compile(rb"^>(>*From )", re.MULTILINE)


def mailbox_pieces(stream: ByteStream) -> Iterator[Piece]:
    """The messages with text, in order; one that cannot be read is a bad piece, and empty ones are none.

    Raises UnreadFileError for what is no mailbox.
    """
    if stream.peek(len(BEGINNING)) != BEGINNING:
        raise UnreadFileError(stream, "is no mailbox: it does not begin with a line From …")
    parts, size = list[bytes](), 0
    for number, (part, last) in _numbered(stream):
        size += len(part)
        if size <= MOST_MESSAGE:
            parts.append(part)
        if last:
            yield from _message(b"".join(parts), f"{stream.name}: message {number}", whole=size <= MOST_MESSAGE)
            parts, size = [], 0


def _numbered(stream: ByteStream) -> Iterator[tuple[int, tuple[bytes, bool]]]:
    number = 1
    for part, _, last in separated(stream, MAILBOX):
        yield number, (part, last)
        number += last


def _message(content: bytes, place: str, *, whole: bool) -> Iterator[Piece]:
    if not whole:
        yield Piece(b"", True, f"{place}: is longer than {bytes_text(MOST_MESSAGE)}")
        return
    _, _, letter = content.partition(b"\n") if content.startswith(BEGINNING) else (b"", b"", content)
    try:
        text = letter_text(QUOTED.sub(rb"\1", letter))
    except (ValueError, MissingPackageError) as fault:
        yield Piece(b"", True, f"{place}: {fault}")
        return
    if text:
        yield from row_pieces(text, place)
