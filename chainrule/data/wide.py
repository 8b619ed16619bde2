"""UTF-16 and UTF-32 that say so by their mark, as a stream of UTF-8; and what looks like UTF-16 and does not say so."""

import codecs
import re
from collections.abc import Callable

# The marks of UTF-32 first: the one of its little end begins like UTF-16's.
MARKS = {
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
LONE_SURROGATE = re.compile(rb"\xed[\xa0-\xbf][\x80-\xbf]")
NO_UTF8 = b"\xff"
CHUNK_BYTES = 1 << 16
# Of Latin letters one byte of two is zero; with other scripts those of the blanks and line ends among them are.
LEAST_BYTES, ZEROS, READABLE = 8, 0.02, 0.9


def marked_encoding(head: bytes) -> str | None:
    """The encoding whose mark stands at the beginning; None for UTF-8 and all else."""
    return next((encoding for mark, encoding in MARKS.items() if head.startswith(mark)), None)


def unmarked_order(head: bytes) -> str | None:
    """LE or BE when the bytes look like UTF-16 without its mark: read as that they are letters and blanks."""
    head = head[: len(head) // 2 * 2]
    zeros = [head[::2].count(0), head[1::2].count(0)]
    if len(head) < LEAST_BYTES or max(zeros) < ZEROS * len(head) / 2 or min(zeros) * 4 > max(zeros):
        return None
    order = "LE" if zeros[1] > zeros[0] else "BE"
    text = head.decode(f"utf-16-{order}", "ignore")
    readable = sum(letter.isprintable() or letter.isspace() for letter in text)
    return order if readable >= READABLE * len(head) / 2 - 1 else None


class WideText:
    """What `read` gives, as UTF-8; half a character becomes a byte that is no UTF-8, and so a matter of text.on_bad."""

    def __init__(self, read: Callable[[int], bytes], head: bytes, encoding: str) -> None:
        self._read, self._ended = read, False
        self._decoder = codecs.getincrementaldecoder(encoding)("surrogatepass")
        self._buffer = self._as_utf8(head)

    def read(self, size: int) -> bytes:
        """At most `size` bytes; none at the end."""
        while not self._buffer and not self._ended:
            more = self._read(CHUNK_BYTES)
            self._ended = not more
            self._buffer = self._as_utf8(more)
        part, self._buffer = self._buffer[:size], self._buffer[size:]
        return part

    def _as_utf8(self, content: bytes) -> bytes:
        try:
            text = self._decoder.decode(content, final=self._ended)
        except UnicodeDecodeError:  # Only at the end, or for numbers that are no character of UTF-32.
            self._decoder.reset()
            return NO_UTF8
        encoded = text.encode("utf-8", "surrogatepass")
        return LONE_SURROGATE.sub(NO_UTF8, encoded) if LONE_SURROGATE.search(encoded) else encoded
