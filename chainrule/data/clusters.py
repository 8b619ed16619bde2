"""Clusters of like documents, and the order in which they are held out, with little memory for those that are alone."""

from collections.abc import Iterator
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from chainrule.data.document_links import DocumentLinks, Indices

CHUNK_ROWS = 1 << 17
# Keys are spread evenly, so a stretch of them this wide has a sixteenth of all clusters: mostly the first suffices.
FIRST_STRETCH = 1 << 60
LAST_KEY = (1 << 64) - 1

Keys = NDArray[np.uint64]
Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Clusters:
    """For each cluster its root, and of its usable members how many they are, their bytes and their smallest key."""

    roots: Indices
    n_documents: NDArray[np.int64]
    n_bytes: NDArray[np.uint64]
    keys: Keys
    first_members: Indices

    @classmethod
    def joined(cls, left: "Clusters", right: "Clusters") -> "Clusters":
        """All clusters of both."""
        pairs = [(getattr(left, column.name), getattr(right, column.name)) for column in fields(cls)]
        return cls(*map(np.concatenate, pairs))

    def chosen(self, mask: Mask) -> "Clusters":
        """Some of them."""
        return Clusters(*(getattr(self, column.name)[mask] for column in fields(self)))


def grouped(
    usable: Mask, sizes: NDArray[np.uint64], keys: Keys, links: DocumentLinks
) -> tuple[Clusters, DocumentLinks]:
    """The clusters that links make of usable documents, and each usable member with its root."""
    linked = usable[links.documents]
    roots = np.unique(links.targets[linked])
    leading = roots[usable[roots]]
    members = np.concatenate([links.documents[linked], leading])
    their_roots = np.concatenate([links.targets[linked], leading])
    order = np.lexsort((members, their_roots))
    members, their_roots = members[order], their_roots[order]
    found = DocumentLinks(members, their_roots)
    if not roots.size:
        return Clusters(roots, np.empty(0, np.int64), np.empty(0, np.uint64), np.empty(0, np.uint64), roots), found
    starts = np.searchsorted(their_roots, roots)
    counts = np.diff(np.append(starts, len(members)))
    n_bytes, smallest = np.add.reduceat(sizes[members], starts), np.minimum.reduceat(keys[members], starts)
    return Clusters(roots, counts, n_bytes, smallest, members[starts]), found


def singles(single: Mask, sizes: NDArray[np.uint64], keys: Keys) -> Clusters:
    """Documents that are in no cluster, each as one."""
    found = np.flatnonzero(single)
    ones = np.ones(len(found), np.int64)
    return Clusters(found, ones, sizes[found], keys[found], found)


def by_key(groups: Clusters, single: Mask, sizes: NDArray[np.uint64], keys: Keys) -> Iterator[tuple[int, int]]:
    """Root and bytes of all clusters in the order of their smallest keys, then of their roots.

    Only so many are sorted as are asked for: keys are looked through in stretches.
    """
    low, width = 0, FIRST_STRETCH
    while low <= LAST_KEY:
        high = min(low + width - 1, LAST_KEY)
        documents = np.concatenate(list(_between(single, keys, low, high)))
        inside = groups.chosen((groups.keys >= low) & (groups.keys <= high))
        roots = np.concatenate([documents, inside.roots.astype(np.int64)])
        n_bytes = np.concatenate([sizes[documents], inside.n_bytes])
        order = np.lexsort((roots, np.concatenate([keys[documents], inside.keys])))
        yield from zip(roots[order].tolist(), n_bytes[order].tolist(), strict=True)
        low, width = high + 1, 2 * width


def _between(single: Mask, keys: Keys, low: int, high: int) -> Iterator[NDArray[np.int64]]:
    yield np.empty(0, np.int64)
    for start in range(0, len(keys), CHUNK_ROWS):
        stretch = keys[start : start + CHUNK_ROWS]
        found = np.flatnonzero(single[start : start + CHUNK_ROWS] & (stretch >= low) & (stretch <= high))
        yield found + start
