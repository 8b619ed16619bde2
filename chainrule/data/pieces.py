"""A document as a sequence of pieces, so that none is ever whole in memory, however long it is.

Pieces are cut by the content of the document alone, never by where it stands in its file: the same text gives the same
pieces, and so the same digest and the same tokens.
"""

import re
from collections.abc import Iterator
from typing import NamedTuple

# Half of a core's second-level cache: sketching pieces of 1 MiB took twice as long per byte.
PIECE_BYTES = 1 << 18


LINE_END = re.compile(rb"\n")
# Also the full stops of Chinese, Japanese and Hindi, after which no space stands.
SENTENCE_END = re.compile(rb"[.!?][\"')\]]? |\xe3\x80\x82|\xef\xbc[\x81\x9f]|\xe0\xa5\xa4")
WORD_END = re.compile(rb"[ \t]")


class Removal(NamedTuple):
    """Why a document is left out."""

    rule: str
    """The filter and which of its rules: "gopher-quality: words"."""
    found: str
    """What the document has, and what is allowed."""
    begins: str = ""
    """How the document begins, in one line."""


class Piece(NamedTuple):
    """A part of a document: valid UTF-8, at most PIECE_BYTES long."""

    content: bytes
    last: bool
    """True for the part that ends its document."""
    bad: str | None = None
    """Why the whole document cannot be read (always on a last part, which is empty)."""
    invalid: int = 0
    """Places that were no UTF-8 and became U+FFFD."""
    mended: str | None = None
    """The first of those places: what `text.on_bad` is asked about."""
    masked: int = 0
    """Addresses of people and machines that were masked in it."""
    removal: Removal | None = None
    """Why its document is left out, from the piece on at which that was known."""


def cut_position(content: bytes | bytearray, limit: int) -> int:
    """Where to cut a text longer than `limit` bytes: at or before `limit`, at the best place in the second half.

    Before the white space at the end of a line, else before a space, else between two characters. GPT-2's regex always
    has a boundary between a visible character and white space, so the first two leave the tokens as they were.
    """
    for blank in (b"\n", b" "):
        found = content.rfind(blank, limit // 2, limit)
        if found > 0:
            visible = len(content[:found].rstrip())
            if visible > 0:
                return visible
    return character_start(content, limit)


def character_start(content: bytes | bytearray, position: int) -> int:
    """The nearest place at or before `position` where a UTF-8 character starts."""
    start = position
    while start > position - 3 and start > 0 and start < len(content) and content[start] & 0xC0 == 0x80:
        start -= 1
    return start


def line_cut(content: bytes, position: int, reach: int) -> int:
    """Where to cut near `position`: at the end of a line at most `reach` bytes away, of a sentence, of a word.

    After the position if there is one, else before it; between two characters when there is none of them.
    """
    last = min(position + reach, len(content) - 1)
    for end in (LINE_END, SENTENCE_END, WORD_END):
        found = end.search(content, position, last)
        if found:
            return found.end()
        before = [match.end() for match in end.finditer(content, max(position - reach, 0), position)]
        if before:
            return before[-1]
    return character_start(content, position)


def cut_text(content: bytes) -> Iterator[tuple[bytes, bool]]:
    """The parts of a document that is in memory, each with whether it is the last one."""
    start = 0
    while len(content) - start > PIECE_BYTES:
        end = start + cut_position(content[start : start + PIECE_BYTES + 1], PIECE_BYTES)
        yield content[start:end], False
        start = end
    yield content[start:] if start else content, True
