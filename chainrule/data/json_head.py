"""Whether a .json file in a folder holds text, by its beginning: rows with the text in a field, or conversations.

Most .json files are settings, so in a folder only what shows itself as text is read; what is named itself always is.
"""

import json
import re
import stat
from pathlib import Path
from typing import Any

from chainrule.config import TextConfig
from chainrule.data.conversations import CONVERSATIONS, dated_conversations
from chainrule.data.decompression import FAULTS, decompressed
from chainrule.data.fields import LEAST_STRING, first_key, rows_inside, text_builder, wanted_fields

HEAD_BYTES = 1 << 16
# One object by itself may be words of a program's menu, of which one has the key "text"; a document is longer.
LEAST_ALONE = 200
# A list inside an object is one of texts when it is so many times as long.
LEAST_LIST = 2
# Of an array of strings so many are looked at.
MOST_STRINGS = 20
BLANKS = " \t\r\n"
KEY = re.compile(r'[\s,]*"((?:[^"\\]|\\.)*)"\s*:\s*')


def holds_text(path: str, codec: str, config: TextConfig) -> bool:
    """Whether the file begins with an object that has the text of `config`, or a conversation.

    The first of an array or of several objects; one by itself must have a text of some length. False for what cannot
    be read.
    """
    try:
        # A pipe that is named so would be waited for.
        if not stat.S_ISREG(Path(path).stat().st_mode):
            return False
        with Path(path).open("rb") as raw:
            head = decompressed(codec, raw).read(HEAD_BYTES)
    except FAULTS:
        return False
    return shows_text(head.decode("utf-8-sig", "replace"), config)


def shows_text(head: str, config: TextConfig) -> bool:
    """The same of the beginning of the file's content."""
    head = head.lstrip(BLANKS)
    in_array = head.startswith("[")
    first = head[in_array:].lstrip(BLANKS)
    if in_array and first.startswith('"'):
        return _are_texts(first)
    if not first.startswith("{"):
        return False
    try:
        fields, end = json.JSONDecoder().raw_decode(first)
    except (ValueError, RecursionError):
        return _begun(first, config)
    alone = not in_array and not first[end:].lstrip(BLANKS)
    build = text_builder(config)
    text = next(dated_conversations(fields), None) or build(fields)[0]
    if text is None and (rows := rows_inside(fields, build)):
        text = next((text for row in rows if (text := row if isinstance(row, str) else build(row)[0])), None)
    return text is not None and (not alone or len(text) >= LEAST_ALONE or len(head) >= LEAST_LIST * LEAST_ALONE)


def _are_texts(first: str) -> bool:
    """Whether the strings that an array begins with are texts, and no list of names: long ones, on average."""
    lengths, at = list[int](), 0
    while len(lengths) < MOST_STRINGS and first[at : at + 1] == '"':
        try:
            text, at = json.JSONDecoder().raw_decode(first, at)
        except ValueError:
            lengths.append(len(first) - at)
            break
        lengths.append(len(text))
        at += len(first[at:]) - len(first[at:].lstrip(BLANKS + ","))
    return sum(lengths) >= LEAST_STRING * len(lengths)


def _begun(first: str, config: TextConfig) -> bool:
    """Whether an object that does not end here has the text among its fields, the one in which it is cut included."""
    fields, cut, rest = _fields_of(first)
    if cut in (*CONVERSATIONS, "chats") and not config.template and cut != first_key(config.field):
        return rest.startswith(("[", "{"))
    if rest.startswith("[") and rest[1:].lstrip(BLANKS).startswith("{"):
        # A list of rows in an object: {"data": [{"text": …
        return shows_text(rest, config)
    if config.template is None and cut == first_key(config.field):
        return rest.startswith(('"', "[", "{"))
    if config.template is not None and cut is not None:
        # Columns after the cut are not known.
        return all(first_key(name) in (*fields, cut) for name in wanted_fields(config))
    return text_builder(config)(fields)[0] is not None


def _fields_of(text: str) -> tuple[dict[str, Any], str | None, str]:
    """The whole fields of an object that is cut, the key of the one in which it is, and what there is of its value."""
    fields, at = dict[str, Any](), 1
    while key := KEY.match(text, at):
        try:
            fields[key.group(1)], at = json.JSONDecoder().raw_decode(text, key.end())
        except (ValueError, RecursionError):
            return fields, key.group(1), text[key.end() :]
    return fields, None, ""
