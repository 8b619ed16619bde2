"""Text of the user's program made harmless: names and source lines can hold anything."""

import html
import re

from chainrule.base import printable

# What HTML forbids or UTF-8 cannot hold, what a terminal obeys, what turns the direction of the text around it (marks
# U+061C, U+200E and U+200F too) and notes between lines. Joiners stay: Persian and many emoji are not themselves
# without. The pages' programs have the same letters (playground/src/text.ts).
UNSAFE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u206f\ud800-\udfff\ufff9-\ufffb\ufffe\uffff]"
)


def clean(text: str) -> str:
    """The text with U+FFFD for what could do harm."""
    return UNSAFE.sub("\ufffd", text)


def markdown(text: object) -> str:
    """`printable` text on one line for Markdown, of which no letter opens a tag, a link, a cell, code or emphasis."""
    line = printable(text).replace("\n", "⏎")
    return re.sub(r"[<>&]", _entity, re.sub(r"([\\`*_\[\]|~$])", r"\\\1", line))


def _entity(found: re.Match[str]) -> str:
    return f"&#{ord(found[0])};"


def escaped(text: str) -> str:
    """Clean text for the content and the quoted attributes of HTML and SVG."""
    return html.escape(clean(text), quote=True)
