"""Text to ids and back, exactly, for every kind of vocabulary."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chainrule.base import TokenizerError, write_bytes
from chainrule.tokenizer.alphabet import utf8
from chainrule.tokenizer.bulk import Bulk
from chainrule.tokenizer.document import (
    Document,
    bytes_of_ids,
    canonical,
    controls_of,
    end_of_text_of,
    fingerprint_of,
    with_controls,
)
from chainrule.tokenizer.reference import Reference

# What is not UTF-8 in a byte string, as Python's "surrogateescape" shows it.
NOT_UTF8 = re.compile("([\udc80-\udcff]+)")


class Tokenizer:
    """A vocabulary with its two directions; never changes after it is made, and travels to other processes.

    Encoding never yields a control token, whatever the text says: "<|endoftext|>" in a document is thirteen characters.
    """

    kind: str
    """"bpe", "gpt2", "bytes", "chars", or "file" for a vocabulary of a foreign layout."""
    vocab_size: int
    """All ids, control tokens included; also the holes of a foreign vocabulary."""
    end_of_text: int
    """The id that stands between documents."""
    token_bytes: tuple[bytes, ...]
    """The bytes that each id stands for, b"" for control tokens."""
    control_tokens: Mapping[str, int]
    """The ids of the control tokens, by the words that a chat template writes for them."""
    byte_lengths: NDArray[np.int32]
    """The length of each of `token_bytes` [V], read-only."""
    fingerprint: str
    """Hexadecimal SHA-256 of the file that `save` writes."""
    made_by: str
    """The engine that learnt the vocabulary, with the reason for it; empty when nothing was learnt."""

    def __init__(self, document: Document, *, kind: str, made_by: str = "") -> None:
        self._document = document
        self._reference = Reference(document)
        self._bulk = Bulk(self._reference, document)
        self.kind = kind
        self.made_by = made_by
        self.fingerprint = fingerprint_of(document)
        self.token_bytes = bytes_of_ids(document)
        self.vocab_size = len(self.token_bytes)
        self.end_of_text = end_of_text_of(document)
        self.control_tokens = MappingProxyType(controls_of(document))
        self.byte_lengths = np.array([len(content) for content in self.token_bytes], dtype=np.int32)
        self.byte_lengths.setflags(write=False)
        self._id_of_byte = {content[0]: number for number, content in enumerate(self.token_bytes) if len(content) == 1}

    def __repr__(self) -> str:
        return f"<Tokenizer {self.kind}, {self.vocab_size} entries, {self.fingerprint[:12]}>"

    def __reduce__(self) -> tuple[Any, ...]:
        return _again, (self._document, self.kind, self.made_by)

    @property
    def engine(self) -> str:
        """What `encode_batch` uses, with the reason when it is not the fastest; decided at its first call."""
        return self._bulk.engine

    def encode(self, text: str) -> list[int]:
        """The ids of a text; raises TokenizerError for a lone surrogate, naming its place."""
        utf8(text)
        ids: list[int] = self._reference.encode_batch([text])[0].tolist()
        return ids

    def encode_bytes(self, content: bytes) -> list[int]:
        """The ids of any byte string: UTF-8 as `encode` has it, every other byte as its id (if none, U+FFFD)."""
        stretches = NOT_UTF8.split(content.decode("utf-8", errors="surrogateescape"))
        ids: list[int] = []
        for text, other in zip(stretches[::2], [*stretches[1::2], ""], strict=True):
            ids += self.encode(text)
            for escaped in other:
                known = self._id_of_byte.get(ord(escaped) - 0xDC00)
                ids += self.encode("\ufffd") if known is None else [known]
        return ids

    def encode_batch(self, texts: Sequence[str]) -> list[NDArray[np.uint32]]:
        """The ids of each text, as `encode` has them, at the speed of the fastest engine that agrees with it."""
        for text in texts:
            utf8(text)
        return self._bulk.encode(texts)

    def decode(self, ids: Sequence[int] | NDArray[Any]) -> str:
        """The text of ids, with U+FFFD for what is not UTF-8; see `StreamDecoder` for text that comes in parts."""
        return self.decode_bytes(ids).decode("utf-8", errors="replace")

    def decode_bytes(self, ids: Sequence[int] | NDArray[Any]) -> bytes:
        """The bytes of ids; control tokens have none. Raises TokenizerError for an id outside the vocabulary."""
        numbers = np.asarray(ids, dtype=np.int64) if len(ids) else np.empty(0, dtype=np.int64)
        if len(outside := np.flatnonzero((numbers < 0) | (numbers >= self.vocab_size))):
            place = outside[0]
            raise TokenizerError(
                f"id {numbers[place]} at position {place} is not in this vocabulary, which has 0 to "
                f"{self.vocab_size - 1}; the ids come from another tokenizer or from a model with more rows"
            )
        return b"".join(map(self.token_bytes.__getitem__, numbers.tolist()))

    def with_control_tokens(self, words: Sequence[str]) -> "Tokenizer":
        """The same vocabulary with `words` as control tokens behind its last id; those that it has keep theirs.

        Raises TokenizerError for a word that is an ordinary entry.
        """
        return Tokenizer(with_controls(self._document, words), kind=self.kind, made_by=self.made_by)

    def save(self, path: Path) -> None:
        """Writes tokenizer.json to `path`, or into that folder; transformers reads it with the same ids."""
        write_bytes(path / "tokenizer.json" if path.is_dir() else path, canonical(self._document))


def _again(document: Document, kind: str, made_by: str) -> Tokenizer:
    return Tokenizer(document, kind=kind, made_by=made_by)
