"""Texts as a model is judged on them: each document's tokens behind the end-of-text that opens it, end to end."""

import tempfile
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from chainrule.base import DataError, disk_faults
from chainrule.data import DocumentPart, portions
from chainrule.tokenizer import Tokenizer


@dataclass(frozen=True)
class Texts:
    """Documents to score. Document `i` is `tokens[begins[i]:begins[i + 1]]`, of which the first is end-of-text.

    Documents without a token are not among them; `n_empty` says how many there were.
    """

    tokens: NDArray[Any]
    begins: NDArray[np.int64]
    sources: NDArray[np.int64]
    """The place of each document's source in `source_names`."""
    source_names: tuple[str, ...]
    names: tuple[str, ...]
    """Of each document: its file, and its number in a file that has several."""
    n_empty: int = 0

    @property
    def n_documents(self) -> int:
        """Documents that have tokens."""
        return len(self.sources)


def encode_texts(parts: Iterable[DocumentPart], tokenizer: Tokenizer) -> Texts:
    """The documents of `parts` in `tokenizer`'s tokens, in their order; raises DataError when none has any.

    The tokens lie in a file without a name, which is gone when the process is, however it ends; in memory are some 100
    bytes for each document.
    """
    # The mapping keeps the content when the file is closed.
    with disk_faults(Path(tempfile.gettempdir()), "writing tokens to"), tempfile.TemporaryFile() as stream:
        writing = _Writing(tokenizer, stream)
        for batch in portions(parts):
            writing.add(batch)
        return writing.texts()


@dataclass
class _Writing:
    """The file and what is known of its documents so far."""

    tokenizer: Tokenizer
    stream: IO[bytes]
    n_tokens: int = 0
    open_tokens: int = 0
    """Tokens of the document that is not at its end yet."""
    ends: list[int] = field(default_factory=list)
    owners: list[int] = field(default_factory=list)
    places: list[tuple[str, int]] = field(default_factory=list)
    numbers: dict[str, int] = field(default_factory=dict)
    n_empty: int = 0

    @property
    def dtype(self) -> np.dtype[Any]:
        return np.dtype(np.uint16 if self.tokenizer.vocab_size <= 1 << 16 else np.uint32)

    def add(self, batch: list[DocumentPart]) -> None:
        """Encodes some parts at once and writes their tokens."""
        for part, ids in zip(batch, self.tokenizer.encode_batch([p.content.decode() for p in batch]), strict=True):
            if part.bad:
                self._go_back()
                continue
            if len(ids):
                self._write(np.asarray(ids) if self.open_tokens else np.append(self.tokenizer.end_of_text, ids))
            if part.last:
                self._close(part)

    def texts(self) -> Texts:
        """All that was written, mapped from the file."""
        if not self.ends:
            raise DataError(f"there is nothing to score: {self.n_empty:,} documents were read, and none has a token")
        self._go_back()
        self.stream.flush()
        tokens = np.memmap(self.stream, self.dtype, mode="r", shape=(self.n_tokens,))
        begins, sources = np.array([0, *self.ends], np.int64), np.array(self.owners, np.int64)
        return Texts(np.asarray(tokens), begins, sources, tuple(self.numbers), self._names(), self.n_empty)

    def _write(self, ids: NDArray[Any]) -> None:
        self.stream.write(ids.astype(self.dtype).tobytes())
        self.open_tokens += len(ids)

    def _close(self, part: DocumentPart) -> None:
        if not self.open_tokens:
            self.n_empty += 1
            return
        self.n_tokens += self.open_tokens
        self.open_tokens = 0
        self.ends.append(self.n_tokens)
        self.owners.append(self.numbers.setdefault(part.source, len(self.numbers)))
        self.places.append((part.file, part.number))

    def _go_back(self) -> None:
        """Forgets the document that was begun."""
        self.stream.seek(self.n_tokens * self.dtype.itemsize)
        self.stream.truncate()
        self.open_tokens = 0

    def _names(self) -> tuple[str, ...]:
        several = {file for file, number in self.places if number > 1}
        return tuple(f"{file}:{number}" if file in several else file for file, number in self.places)
