"""Where a JSON value ends, found chunk by chunk: what is too long, or never closed, is refused before it is held."""

import numpy as np
from numpy.typing import NDArray

STRING, KINDS = b'"', (b"{", b"[", b'"')
# What a bracket adds to the depth.
STEPS = np.zeros(256, np.int8)
STEPS[list(b"{[")], STEPS[list(b"}]")] = 1, -1


class EndFinder:
    """Goes through the bytes of an object, an array or a string; whether it is sound is for a parser to say."""

    inside = False
    """Whether the last chunk ended inside a text."""

    def __init__(self) -> None:
        self._kind = b""
        self._depth, self._escaping = 0, False

    def end(self, chunk: bytes) -> int | None:
        """The place behind the value's last byte, if it stands in this chunk, which follows the one before.

        A chunk is not empty. The first begins with the value's first byte; what begins otherwise ends there.
        """
        self._kind = self._kind or chunk[:1]
        if self._kind not in KINDS:
            return 0
        # A backslash at the end of the chunk before takes the first byte of this one.
        before = int(self._escaping)
        chunk = b"\\" * before + chunk
        self._escaping = (len(chunk) - len(chunk.rstrip(b"\\"))) % 2 == 1
        if b"\\" in chunk:
            # Pairs first: what is left of a stretch of backslashes takes the quote behind it.
            chunk = chunk.replace(b"\\\\", b"  ").replace(b'\\"', b"  ")
        if self.inside and STRING not in chunk:
            return None
        found = self._end(np.frombuffer(chunk, np.uint8))
        return None if found is None else found - before

    def _end(self, chunk: NDArray[np.uint8]) -> int | None:
        quotes = np.flatnonzero(chunk == STRING[0])
        if self._kind == STRING:
            # Of a string the first quote opens it, wherever it was.
            closing = quotes[(not self.inside) :][:1]
            self.inside = True
            return int(closing[0]) + 1 if closing.size else None
        signs = np.flatnonzero(STEPS[chunk])
        signs = signs[(np.searchsorted(quotes, signs) + self.inside) % 2 == 0]
        depths = self._depth + np.cumsum(STEPS[chunk[signs]], dtype=np.int64)
        if (closed := np.flatnonzero(depths == 0)).size:
            return int(signs[closed[0]]) + 1
        self._depth = int(depths[-1]) if depths.size else self._depth
        self.inside = (len(quotes) + self.inside) % 2 == 1
        return None
