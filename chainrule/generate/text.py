"""From tokens to text while they come: whole characters only, and never a part of a stop string."""

import codecs
from collections.abc import Sequence


class TextStream:
    """Collects the bytes of one text and gives out what is certain.

    Held back are the bytes of an unfinished character, and those that could be the beginning of a stop string. Stop
    strings are found in the bytes, wherever the borders of the tokens are. All pieces together are the text before the
    first stop string; bytes that are no UTF-8 become U+FFFD.
    """

    def __init__(self, stop: Sequence[str] = ()) -> None:
        self.stopped = False
        self._stops = [word.encode() for word in stop]
        self._held = b""
        self._decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")

    def feed(self, content: bytes) -> str:
        """The next piece (often empty); once a stop string is complete, `stopped` is true and this was the last."""
        content = self._held + content
        found = [(place + len(word), place) for word in self._stops if (place := content.find(word)) >= 0]
        if found:
            self.stopped = True
            self._held = b""
            return self._decoder.decode(content[: min(found)[1]], final=True)
        certain = len(content) - self._n_doubtful(content)
        self._held = content[certain:]
        return self._decoder.decode(content[:certain])

    def finish(self) -> str:
        """The rest: what was held back turned out to be no stop string; an unfinished character becomes U+FFFD."""
        held, self._held = self._held, b""
        return self._decoder.decode(held, final=True)

    def _n_doubtful(self, content: bytes) -> int:
        """Length of the longest end of `content` that begins a stop string."""
        longest = max((len(word) - 1 for word in self._stops), default=0)
        for length in range(min(longest, len(content)), 0, -1):
            if any(word.startswith(content[-length:]) for word in self._stops):
                return length
        return 0
