"""Bytes of unknown encoding to text, and text out of a document as a plain file would have it."""

import codecs
import re

from chainrule.data.legacy import encoding_of
from chainrule.data.wide import marked_encoding

# What old pages and letters call an encoding, and the larger one that browsers take for it (WHATWG, Encoding).
WIDER = {
    **{"iso-8859-1": "cp1252", "latin-1": "cp1252", "latin1": "cp1252", "ascii": "cp1252", "us-ascii": "cp1252"},
    **{"gb2312": "gb18030", "gbk": "gb18030", "shift_jis": "cp932", "shift-jis": "cp932", "sjis": "cp932"},
    **{"euc-kr": "cp949", "ks_c_5601-1987": "cp949", "iso-8859-9": "cp1254", "tis-620": "cp874", "x-sjis": "cp932"},
}
CONTROLS = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\u200b\ufeff\u00ad]")
# Looked for at the first blank of a stretch alone: 20,000 in a line took 3.2 s (its square) where each began a search.
ENDS, EMPTY_LINES = re.compile(r"(?<![ \t])[ \t]+(?=\n|\Z)"), re.compile(r"\n{3,}")


def tidied(text: str) -> str:
    """The text without control characters, halves of characters and blanks at line ends; it ends with one newline.

    Empty where nothing can be seen.
    """
    whole = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    plain = CONTROLS.sub("", whole.replace("\r\n", "\n").replace("\r", "\n").replace("\xa0", " "))
    plain = EMPTY_LINES.sub("\n\n", ENDS.sub("", plain)).strip("\n ")
    return f"{plain}\n" if plain.strip() else ""


def decoded(content: bytes, said: str | None = None) -> str:
    """The text of the bytes: by their mark, as UTF-8, as what they are said to be, else as what they look like.

    Raises ValueError when it is none of these.
    """
    if encoding := marked_encoding(content):
        return content.decode(encoding, "replace")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as fault:
        for name in (said, encoding_of(content)):
            if text := _as(content, name):
                return text
        raise ValueError(
            f"is no UTF-8 (byte {fault.start} is 0x{content[fault.start]:02x}), and in which encoding it is cannot "
            "be told; convert it to UTF-8"
        ) from None


def _as(content: bytes, name: str | None) -> str | None:
    try:
        known = codecs.lookup(WIDER.get((name or "").strip().lower(), name or ""))
        # A name may also be one of Python's own transformations, such as hex or rot13.
        return content.decode(known.name) if known._is_text_encoding else None
    except (LookupError, ValueError):
        return None
