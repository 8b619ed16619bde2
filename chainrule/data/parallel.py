"""Pieces of documents in lists of about a mebibyte, as they are encoded: one by one a tokenizer would idle."""

from collections.abc import Iterable, Iterator
from typing import Protocol, TypeVar

PORTION_BYTES = 1 << 20


class HasContent(Protocol):
    """Any piece of a document."""

    @property
    def content(self) -> bytes:
        """Its bytes."""


P = TypeVar("P", bound=HasContent)


def portions(parts: Iterable[P]) -> Iterator[list[P]]:
    """The parts in their order, in lists of at least PORTION_BYTES of content; the last may have less."""
    waiting: list[P] = []
    size = 0
    for part in parts:
        waiting.append(part)
        size += len(part.content)
        if size >= PORTION_BYTES:
            yield waiting
            waiting, size = [], 0
    if waiting:
        yield waiting
