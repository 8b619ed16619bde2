"""Text out of ids that come one by one, without ever showing half a character."""

import codecs
from collections.abc import Sequence

from chainrule.tokenizer.tokenizer import Tokenizer


class StreamDecoder:
    """Gives each character once all its bytes are there; what it gave, joined, is `Tokenizer.decode` of all ids."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer
        self._pending = codecs.getincrementaldecoder("utf-8")(errors="replace")

    def feed(self, ids: Sequence[int]) -> str:
        """The characters that these ids complete; bytes that cannot begin or go on with one are U+FFFD."""
        return self._pending.decode(self._tokenizer.decode_bytes(ids))

    def flush(self) -> str:
        """The end of the text: U+FFFD if a character was left unfinished, else nothing. Starts afresh."""
        rest = self._pending.decode(b"", final=True)
        self._pending.reset()
        return rest
