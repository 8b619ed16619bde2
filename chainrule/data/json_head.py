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
from chainrule.data.fields import text_builder, wanted_fields

HEAD_BYTES = 1 << 16
# One object by itself may be words of a program's menu, of which one has the key "text"; a document is longer.
LEAST_ALONE = 200
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
    if not first.startswith("{"):
        return False
    try:
        fields, end = json.JSONDecoder().raw_decode(first)
    except (ValueError, RecursionError):
        return _begun(first, config)
    text = next(dated_conversations(fields), None) or text_builder(config)(fields)[0]
    alone = not in_array and not first[end:].lstrip(BLANKS)
    return text is not None and (not alone or len(text) >= LEAST_ALONE)


def _begun(first: str, config: TextConfig) -> bool:
    """Whether an object that does not end here has the text among its fields, the one in which it is cut included."""
    fields, cut, rest = _fields_of(first)
    if cut in (*CONVERSATIONS, "chats"):
        return rest.startswith(("[", "{"))
    if config.template is None and cut == config.field.split(".")[0]:
        return rest.startswith(('"', "[", "{"))
    if config.template is not None and cut is not None:
        # Columns after the cut are not known.
        return all(name.split(".")[0] in (*fields, cut) for name in wanted_fields(config))
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
