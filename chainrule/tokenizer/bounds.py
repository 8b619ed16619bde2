"""How large a tokenizer.json is, told by its bytes: what is more than any is refused before it is parsed.

Parsed, an entry takes ten times its bytes, and the engines that are made of it as much again.
"""

import re
from collections.abc import Iterable

import numpy as np

from chainrule.base import TokenizerError, bytes_text

# The largest published vocabularies have 262,144 entries; models that speak or draw have up to 65,536 added tokens.
MOST_ENTRIES, MOST_ADDED = 2**19, 2**17
# The longest text that is in one for another purpose (a normalizer's table) has half a megabyte; an entry has some 100.
LONGEST_TEXT, LONGEST_ENTRY = 1 << 20, 1 << 16
# A key with a number: an entry, or the id of an added token; some others are no more than these.
NUMBERED, OTHERS = re.compile(rb'"[ \t\r\n]{0,8}:[ \t\r\n]{0,8}\d'), 1000
FLAGGED = re.compile(rb'"special"[ \t\r\n]{0,8}:')


def refuse_beyond(content: bytes, n_rows: int | None = None) -> None:
    """Raises TokenizerError for a file with more entries, or longer texts, than any; `n_rows` are those of its model.

    What is spelt so that it cannot be told here is found when it is parsed.
    """
    # Quotes inside of a text end it for none of these.
    content = content.replace(b"\\\\", b"  ").replace(b'\\"', b"  ") if b"\\" in content else content
    quotes = np.flatnonzero(np.frombuffer(content, np.uint8) == ord('"'))
    if (longest := int(np.diff(quotes, prepend=0, append=len(content)).max())) > LONGEST_TEXT:
        raise TokenizerError(f"holds a text of {bytes_text(longest)}; up to {bytes_text(LONGEST_TEXT)} are read")
    refuse_added(sum(1 for _ in FLAGGED.finditer(content)))
    n_numbered = sum(1 for _ in NUMBERED.finditer(content)) - OTHERS
    if n_numbered > MOST_ENTRIES + MOST_ADDED:
        raise TokenizerError(f"has more than {MOST_ENTRIES:,} entries; up to so many are read")
    # An added token may stand among the entries, too.
    if n_rows is not None and n_numbered > 2 * n_rows:
        raise TokenizerError(
            f"tokenizer.json has more than {n_numbered // 2:,} entries, the model only {n_rows:,} rows; they do not "
            "belong together"
        )


def refuse_long(entries: Iterable[str]) -> None:
    """Raises TokenizerError for an entry that is longer than any."""
    if (longest := max(map(len, entries), default=0)) > LONGEST_ENTRY:
        raise TokenizerError(f"has an entry of {longest:,} characters; up to {LONGEST_ENTRY:,} are read")


def refuse_added(n_tokens: int) -> None:
    """Raises TokenizerError for more added tokens than any vocabulary has."""
    if n_tokens > MOST_ADDED:
        raise TokenizerError(f"has {n_tokens:,} added tokens; up to {MOST_ADDED:,} are read")
