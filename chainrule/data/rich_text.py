"""The text of a rich text file (.rtf): RTF 1.9.1. The only door to `striprtf` (extra `documents`).

Its tables of RTF's words are used, and not its reading, which goes letter by letter (1.6 s a megabyte; this, 0.04 s),
and through all fonts for each: 200,000 of them in 1.6 MB had no end.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from chainrule.base import MissingPackageError, bytes_text
from chainrule.data.tidying import tidied

MARK = b"{\\rtf"
MOST_BYTES = 64 << 20
# Each that is open is kept, 90 bytes; word processors write one in 100 letters.
MOST_GROUPS = 1_000_000
# A word with its number and one blank; a byte; a sign; a brace; a line's end, which says nothing; a stretch of letters.
TOKEN = re.compile(
    r"\\([a-z]{1,32})(-?\d{1,10})?[ ]?|\\'([0-9a-f]{2})|\\([^a-z])|([{}])|[\r\n]+|([^\\{}\r\n]+)", re.IGNORECASE
)
WESTERN = "cp1252"
TABLES = frozenset(("fonttbl", "colortbl"))


def rtf_texts(content: bytes) -> Iterator[str]:
    """The whole text as one; raises ValueError for what is no rich text, damaged, too long, or has no text."""
    try:
        from striprtf import striprtf
    except ImportError:
        raise MissingPackageError("reading rich text", "striprtf", "documents") from None
    if not content.lstrip().startswith(MARK):
        raise ValueError("is no rich text, whatever its name says")
    if len(content) > MOST_BYTES:
        raise ValueError(f"is rich text of more than {bytes_text(MOST_BYTES)}; save it as plain text")
    if (n_groups := content.count(b"{")) > MOST_GROUPS:
        raise ValueError(f"is rich text of {n_groups:,} braces; up to {MOST_GROUPS:,} are read; save it as plain text")
    reader = _Reader(striprtf.destinations, striprtf.specialchars, striprtf.charset_map)
    try:
        # Bytes beyond ASCII stand as escapes in it; a stray one is taken as Western.
        text = tidied(reader.text(content.decode(WESTERN, "replace")))
    # Letters beyond Unicode, code pages that are no encoding of text.
    except (ValueError, OverflowError, LookupError) as fault:
        raise ValueError(f"is damaged rich text ({fault})") from fault
    if not text:
        raise ValueError("has no text in it")
    yield text


class _Group(NamedTuple):
    """What holds up to the brace that closes it."""

    silent: bool = False
    """Nothing in it is text."""
    fonts: bool = False
    """It is the table of fonts."""
    font: str | None = None
    after_unicode: int = 1
    """Letters that stand for a letter of Unicode where this cannot be read, and are passed over."""


@dataclass
class _Reader:
    """Goes through it token by token."""

    destinations: frozenset[str]
    signs: Mapping[str, str]
    charsets: Mapping[int, str]

    def text(self, rich: str) -> str:
        """What it says; ends where its first group does, as word processors end."""
        self._out, self._bytes = list[str](), list[str]()
        self._group, self._stack = _Group(), list[_Group]()
        self._encoding, self._encodings = WESTERN, dict[str | None, str]()
        self._skipped = 0
        at = 0
        while token := TOKEN.search(rich, at):
            at = token.end()
            word, number, byte, sign, brace, letters = token.groups()
            if word == "bin":
                # So many bytes of a picture, whatever signs are among them.
                at += max(0, int(number or 0))
            if byte:
                self._byte(byte)
                continue
            self._flush()
            if letters:
                self._letters(letters)
            elif brace or sign or word:
                self._skipped = 0
                if brace == "}" and len(self._stack) <= 1:
                    break
                self._mark(brace, sign, word, number)
        self._flush()
        return "".join(self._out)

    def _mark(self, brace: str | None, sign: str | None, word: str | None, number: str | None) -> None:
        if brace == "{":
            self._stack.append(self._group)
        elif brace:
            self._group = self._stack.pop()
        elif sign == "*":
            self._group = self._group._replace(silent=True)
        elif sign:
            self._say(self.signs.get(sign, ""))
        elif word:
            self._word(word, number)

    def _word(self, word: str, number: str | None) -> None:
        if word in self.destinations or word in TABLES:
            self._group = self._group._replace(silent=True, fonts=self._group.fonts or word == "fonttbl")
        elif word == "ansicpg":
            self._encoding = f"cp{number}"
        elif word == "f":
            silent, fonts, _, after_unicode = self._group
            self._group = _Group(silent, fonts, number, after_unicode)
        elif word == "fcharset" and self._group.fonts and number:
            self._encodings[self._group.font] = self.charsets.get(int(number), self._encoding)
        elif word == "uc" and number:
            self._group = self._group._replace(after_unicode=int(number))
        elif word == "u" and not self._group.silent:
            self._unicode(number)
        else:
            self._say(self.signs.get(word, ""))

    def _unicode(self, number: str | None) -> None:
        if number is not None:
            code = int(number)
            self._out.append(chr(code + 0x10000 if code < 0 else code))
        self._skipped = self._group.after_unicode

    def _letters(self, letters: str) -> None:
        passed, self._skipped = min(len(letters), max(0, self._skipped)), max(0, self._skipped - len(letters))
        self._say(letters[passed:])

    def _byte(self, byte: str) -> None:
        if self._skipped > 0:
            self._skipped -= 1
        elif not self._group.silent:
            self._bytes.append(byte)

    def _flush(self) -> None:
        """Bytes that stand beside each other are letters of the font's encoding together."""
        if self._bytes:
            encoding = self._encodings.get(self._group.font, self._encoding)
            self._out.append(_decoded(bytes.fromhex("".join(self._bytes)), encoding))
            self._bytes.clear()

    def _say(self, text: str) -> None:
        if text and not self._group.silent:
            self._out.append(text)


def _decoded(content: bytes, encoding: str) -> str:
    try:
        return content.decode(encoding, "replace")
    except LookupError:
        return content.decode(errors="replace")
