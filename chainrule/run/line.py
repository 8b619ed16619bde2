"""One line of a journal: JSON, with a checksum as its last field, by which a flipped bit or an edit is known.

The checksum is CRC-32: it knows every change of up to 32 bits that stand together, and takes a tenth of the time that
parsing the line does. Lines without one (runs before December 2026, other people's files) are believed as they stand.
"""

import json
from collections.abc import Mapping
from typing import Any
from zlib import crc32

from chainrule.base import json_escape, with_letters_told
from chainrule.run.sound import json_value

# `, "crc": "89abcdef"}` and the line's end: always so many bytes, so that it is found without parsing.
NAME, MARK, END = "crc", b', "crc": "', b'"}'
TAIL_BYTES = len(MARK) + 8 + len(END)
# A row whose place in the run is unknown is no row: by its step a resume cuts, by its tokens curves are drawn.
PLACE = ("step", "tokens")


def sealed_line(row: Mapping[str, Any]) -> bytes:
    """The row as a line with its checksum; raises ValueError for what JSON cannot hold."""
    # A journal may be looked at by `cat` or `tail`: what a terminal would obey is written as JSON escapes it.
    text = with_letters_told(json.dumps(row, ensure_ascii=False, allow_nan=False), json_escape).encode()
    if text == b"{}":
        return b"{}\n"
    return b'%b%b%08x"}\n' % (text[:-1], MARK, crc32(text[:-1]))


def row_of(line: bytes) -> dict[str, Any] | None:
    """The row in a line, without its checksum; None for one that is torn, damaged, or no row."""
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


def is_sealed(line: bytes) -> bool | None:
    """Whether the line is the one that its checksum is of; None for one without a checksum."""
    line = line.rstrip(b"\r\n")
    content = _content(line)
    return None if content is line else content is not None


def _content(line: bytes) -> bytes | None:
    """The JSON of a line without its checksum; None where that is not right."""
    tail = line[-TAIL_BYTES:]
    if not tail.startswith(MARK) or not tail.endswith(END):
        return line
    head = line[:-TAIL_BYTES]
    return head + b"}" if tail[len(MARK) : -len(END)] == b"%08x" % crc32(head) else None
