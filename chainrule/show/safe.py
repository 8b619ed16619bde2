"""Text of the user's program made harmless: names and source lines can hold anything."""

import html
import re

from chainrule.base import printable

# Characters that HTML forbids or that UTF-8 cannot hold, those that a terminal obeys, and those that turn the direction
# of the text around them.
UNSAFE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufffe\uffff]")


def clean(text: str) -> str:
    """The text with U+FFFD for what could do harm."""
    return UNSAFE.sub("\ufffd", text)


def markdown(text: object) -> str:
    """`printable` text on one line for Markdown, of which no letter opens a tag, a link, a cell, code or emphasis."""
    line = printable(text).replace("\n", "⏎")
    return re.sub(r"[\\`*_\[\]<>|~$&]", lambda found: f"&#{ord(found[0])};", line)


def escaped(text: str) -> str:
    """Clean text for the content and the quoted attributes of HTML and SVG."""
    return html.escape(clean(text), quote=True)
