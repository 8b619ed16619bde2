"""Links from documents to others, such as from a copy to the first of its kind: kept for those that have one."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Indices = NDArray[Any]
"""Numbers of documents: four bytes each as long as those suffice."""


def index_type(n: int) -> type[np.uint32] | type[np.int64]:
    """For the numbers of `n` documents."""
    return np.uint32 if n < 1 << 32 else np.int64


@dataclass(frozen=True)
class DocumentLinks:
    """`documents` that link to others, ascending, and their `targets`; all others link to themselves."""

    documents: Indices
    targets: Indices

    @classmethod
    def joined(cls, n: int, parts: Sequence[tuple[Indices, Indices]]) -> "DocumentLinks":
        """The links of all parts (documents and their targets), no document in two of them, among `n` documents."""
        documents, targets = (np.concatenate([np.empty(0, index_type(n)), *column]) for column in _columns(parts))
        order = np.argsort(documents)
        return cls(documents[order], targets[order])

    @property
    def onward(self) -> NDArray[np.int64]:
        """Of each link, the place of the one that leads on from its target; -1 where none does."""
        places = np.searchsorted(self.documents, self.targets)
        found = places < len(self.documents)
        found[found] = self.documents[places[found]] == self.targets[found]
        return np.where(found, places, -1)

    def dense(self, n: int) -> NDArray[np.int64]:
        """The target of each of `n` documents."""
        targets = np.arange(n)
        targets[self.documents] = self.targets
        return targets


def _columns(parts: Sequence[tuple[Indices, Indices]]) -> tuple[list[Indices], list[Indices]]:
    return [documents for documents, _ in parts], [targets for _, targets in parts]


def clusters(links: DocumentLinks) -> DocumentLinks:
    """Each link followed to the first document of its chain."""
    targets, onward = links.targets, links.onward
    while (further := onward >= 0).any():
        targets = np.where(further, targets[onward], targets)
        onward = np.where(further, onward[onward], -1)
    return DocumentLinks(links.documents, targets)
