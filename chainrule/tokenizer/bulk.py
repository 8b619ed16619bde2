"""Many texts to ids, by the accelerator where it agrees with the reference."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from chainrule.tokenizer.document import Document, bytes_of_ids
from chainrule.tokenizer.fast import Fast, FastFailedError, name
from chainrule.tokenizer.reference import NAME, Reference

# What tokenizers have been seen to differ in: control tokens, contractions, white space, scripts, joined emoji, a BOM.
PROBES = (
    "",
    "<|endoftext|>",
    "a<|endoftext|>b <|endoftext|>",
    "I'll, we've; it'S 'tis don't\r\n\tx  y   \n\n  z \x0b\x0c\x1c\x1f\x85\u2028\u3000 end ",
    "\ufeffnaïve café Ⅷ ½ ² ١٢٣ 第一章 ไทย हिन्दी 한국어 e\u0301 👩‍👩‍👧‍👦 \U0010ffff\x00\x7f",
    "=" * 300 + " " * 300 + "\n" * 300 + "a" * 300 + "^" * 300,
)
VOCABULARY_CHARACTERS = 60_000
TEXT_CHARACTERS = 30_000


class Bulk:
    """Chooses the engine at the first call, by what it is given and by its own vocabulary."""

    def __init__(self, reference: Reference, document: Document) -> None:
        self._reference = reference
        self._document = document
        self._fast: Fast | None = None
        self.engine = ""

    def encode(self, texts: Sequence[str]) -> list[NDArray[np.uint32]]:
        """The ids of each text; the texts hold no lone surrogates."""
        if not self.engine:
            self._choose(texts)
        if self._fast is not None:
            try:
                return [self._fast.encode(text) for text in texts]
            except FastFailedError as reason:
                self._fall_back(reason)
        return self._reference.encode_batch(texts)

    def _choose(self, texts: Sequence[str]) -> None:
        try:
            candidate, engine = Fast(self._document), name()
            marks = [f"x {token['content']}y" for token in self._document["added_tokens"]]
            for text in (*PROBES, *marks, self._own_text(), *_head(texts, TEXT_CHARACTERS)):
                if not np.array_equal(candidate.encode(text), self._reference.encode_batch([text])[0]):
                    raise FastFailedError("gigatoken gives other ids on a sample")
            self._fast, self.engine = candidate, engine
        except FastFailedError as reason:
            self._fall_back(reason)

    def _fall_back(self, reason: FastFailedError) -> None:
        self._fast, self.engine = None, f"{NAME} ({reason})"

    def _own_text(self) -> str:
        """Entries of the vocabulary, evenly spread and one after the other, so that each kind of merge is tried."""
        entries = bytes_of_ids(self._document)
        step = 1 + sum(map(len, entries)) // VOCABULARY_CHARACTERS
        return b"".join(entries[::step]).decode("utf-8", errors="replace")


def _head(texts: Sequence[str], n_characters: int) -> list[str]:
    head: list[str] = []
    while len(head) < len(texts) and (room := n_characters - sum(map(len, head))) > 0:
        head.append(texts[len(head)][:room])
    return head
