"""One line of a journal: JSON, with its number, the checksum of the line before it, and its own as the last fields.

The checksum is CRC-32: it knows every change of up to 32 bits that stand together, and takes a tenth of the time that
parsing the line does. It covers number and link, so that each line can be judged alone, from wherever in a file one
begins to read, and its place among the others by the line before it (chain.py). Lines without link, or without any
checksum (runs before December 2026, other people's files), are believed as they stand.
"""

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from zlib import crc32

from chainrule.base import json_escape, with_letters_told
from chainrule.run.sound import json_value

# `, "crc": "89abcdef"}` and the line's end: always so many bytes, so that it is found without parsing.
NAME, MARK, END = "crc", b', "crc": "', b'"}'
TAIL_BYTES = len(MARK) + 8 + len(END)
LINK = re.compile(rb'(?:, )?"row": (\d{1,15}), "after": "([0-9a-f]{8})"\Z')
LINK_BYTES = 64
# A row whose place in the run is unknown is no row: by its step a resume cuts, by its tokens curves are drawn.
PLACE = ("step", "tokens")


@dataclass(frozen=True, slots=True)
class Seal:
    """What the end of a line says: the row's number, from 1, the checksum of the line before it, and its own.

    The number is 0 in a line from before lines were linked.
    """

    number: int
    after: str
    crc: str


# Before the first line.
NOTHING = Seal(0, "0" * 8, "0" * 8)


def sealed_line(row: Mapping[str, Any], before: Seal = NOTHING) -> bytes:
    """The row as a line that follows the one with the seal `before`; raises ValueError for what JSON cannot hold."""
    # A journal may be looked at by `cat` or `tail`: what a terminal would obey is written as JSON escapes it.
    text = with_letters_told(json.dumps(row, ensure_ascii=False, allow_nan=False), json_escape).encode()
    comma = b", " if row else b""
    head = b'%b%b"row": %d, "after": "%b"' % (text[:-1], comma, before.number + 1, before.crc.encode())
    return b'%b%b%08x"}\n' % (head, MARK, crc32(head))


def sealed_lines(rows: Iterable[Mapping[str, Any]]) -> bytes:
    """A whole journal of these rows."""
    lines, before = [], NOTHING
    for row in rows:
        lines.append(sealed_line(row, before))
        before = seal_of(lines[-1]) or before
    return b"".join(lines)


def row_of(line: bytes) -> dict[str, Any] | None:
    """The row in a line, without its seal; None for one that is torn, damaged, or no row."""
    content = _content(line.rstrip(b"\r\n"))
    if content is None:
        return None
    try:
        row = json_value(content)
    except ValueError:
        return None
    # A checksum that does not stand at the end is one of an edited line.
    is_row = isinstance(row, dict) and NAME not in row and all(type(row[key]) is int for key in PLACE if key in row)
    return row if is_row else None


def seal_of(line: bytes) -> Seal | None:
    """What the end of a line says, if it is the one that its checksum is of; None for any other."""
    line = line.rstrip(b"\r\n")
    head, crc = line[:-TAIL_BYTES], line[-len(END) - 8 : -len(END)]
    if not _has_checksum(line) or crc != b"%08x" % crc32(head):
        return None
    link = LINK.search(head, max(0, len(head) - LINK_BYTES))
    if link is None:
        return Seal(0, NOTHING.crc, crc.decode())
    return Seal(int(link[1]), link[2].decode(), crc.decode())


def has_checksum(line: bytes) -> bool:
    """Whether the line ends with a checksum, right or wrong."""
    return _has_checksum(line.rstrip(b"\r\n"))


def _has_checksum(line: bytes) -> bool:
    return line.startswith(MARK, max(0, len(line) - TAIL_BYTES)) and line.endswith(END)


def _content(line: bytes) -> bytes | None:
    """The JSON of a line without its seal; None where that is not right."""
    if not _has_checksum(line):
        return line
    head = line[:-TAIL_BYTES]
    if line[-len(END) - 8 : -len(END)] != b"%08x" % crc32(head):
        return None
    link = LINK.search(head, max(0, len(head) - LINK_BYTES))
    return (head if link is None else head[: link.start()]) + b"}"
