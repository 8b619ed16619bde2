"""Which document repeats an earlier one: exactly by digest, nearly by banded hashing of signatures.

Two documents of similarity s agree in a band of r places with probability s**r, and in one of b such bands with
1-(1-s**r)**b. Bands only propose pairs; the whole signatures decide. One band is sorted at a time, in parts of at most
MOST_AT_ONCE rows.
"""

import tempfile
from collections.abc import Iterator
from typing import IO

import numpy as np
from numpy.typing import NDArray

from chainrule.base import disk_faults
from chainrule.data.similarity import PERMUTATIONS
from chainrule.data.table import TableFiles

# A pair exactly at the threshold is proposed at least this often; more similar ones nearly always.
RECALL = 0.99
MOST_AT_ONCE = 1 << 22
# Times that members of a bucket who are not like its first are compared with the first of them.
ROUNDS = 4
KEY_BYTES = 8

Indices = NDArray[np.int64]


def band_shape(threshold: float) -> tuple[int, int]:
    """(bands, rows of each): the longest bands that still propose pairs at the threshold with probability RECALL."""
    for rows in range(PERMUTATIONS, 1, -1):
        bands = PERMUTATIONS // rows
        if 1 - (1 - threshold**rows) ** bands >= RECALL:
            return bands, rows
    return PERMUTATIONS, 1


def exact_links(digests: NDArray[np.uint64], usable: NDArray[np.bool_]) -> Indices:
    """For each document the first one of the same content; itself when it is that one. Digests are [n, 2]."""
    links = np.arange(len(digests))
    for part in _parts(np.flatnonzero(usable), digests[:, 0]):
        order = part[np.argsort(digests[part, 0], kind="stable")]
        halves = digests[order, 0]
        first = np.ones(len(order), bool)
        first[1:] = halves[1:] != halves[:-1]
        # The other halves are looked at only where the first ones agree, which is rare: memory, not time.
        equal = np.flatnonzero(~first)
        first[equal] = digests[order[equal], 1] != digests[order[equal - 1], 1]
        links[order[equal]] = order[_leaders(first)][equal]
    return links


def near_links(tables: TableFiles, candidates: Indices, n: int, threshold: float) -> Indices:
    """For each document an earlier near duplicate of it, or itself when none was found.

    `candidates` are the documents to compare, ascending; the others link to themselves.
    """
    links = np.arange(n)
    bands, rows = band_shape(threshold)
    if candidates.size < 2:
        return links
    with tempfile.TemporaryFile(dir=tables.folder) as stream, disk_faults(tables.folder, "writing band keys in"):
        _write_band_keys(tables, n, bands, rows, stream)
        for band in range(bands):
            stream.seek(band * n * KEY_BYTES)
            keys = np.fromfile(stream, np.uint64, n)
            for part in _parts(candidates, keys):
                order = part[np.argsort(keys[part], kind="stable")]
                _link_buckets(tables, links, order, keys[order], threshold)
    return links


def clusters(links: Indices) -> Indices:
    """The first document of the chain that each one is in."""
    roots = links
    while True:
        further = roots[roots]
        if np.array_equal(further, roots):
            return roots
        roots = further


def near_duplicates(tables: TableFiles, links: Indices, threshold: float) -> NDArray[np.bool_]:
    """Documents that are near duplicates of an earlier document that stays.

    A document that is like a removed one but not like the one that stays for it, stays too: chains do not eat a corpus.
    """
    removed = np.zeros(len(links), bool)
    for document in np.flatnonzero(links != np.arange(len(links))):
        kept = links[document]
        while removed[kept]:
            kept = links[kept]
        pair = np.array([kept]), np.array([document])
        removed[document] = kept == links[document] or tables.agreement(*pair)[0] >= threshold
    return removed


def _link_buckets(
    tables: TableFiles, links: Indices, order: Indices, keys: NDArray[np.uint64], threshold: float
) -> None:
    """Compares the members of each bucket (equal keys, ascending documents) with its first, and links those alike."""
    for _ in range(ROUNDS):
        first = np.ones(len(order), bool)
        first[1:] = keys[1:] != keys[:-1]
        leaders = order[_leaders(first)]
        # Whoever is linked already needs no second link, but it may still lead.
        members = np.flatnonzero(~first & (links[order] == order))
        if not members.size:
            return
        alike = tables.agreement(leaders[members], order[members]) >= threshold
        links[order[members[alike]]] = leaders[members[alike]]
        order, keys = order[members[~alike]], keys[members[~alike]]


def _leaders(first: NDArray[np.bool_]) -> Indices:
    """Position of the start of the run that each position is in."""
    return np.maximum.accumulate(np.where(first, np.arange(len(first)), 0))


def _write_band_keys(tables: TableFiles, n: int, bands: int, rows: int, stream: IO[bytes]) -> None:
    """Band after band, one hash of its places for each document; the signatures are read once for all bands."""
    for start, chunk in tables.signature_chunks(n):
        for band in range(bands):
            mixed = np.zeros(len(chunk), np.uint64)
            for place in range(band * rows, (band + 1) * rows):
                mixed += chunk[:, place]
                mixed *= np.uint64(0x9E37_79B9_7F4A_7C15)
                mixed ^= mixed >> np.uint64(29)
            stream.seek((band * n + start) * KEY_BYTES)
            stream.write(mixed.tobytes())
    stream.flush()


def _parts(documents: Indices, keys: NDArray[np.uint64]) -> Iterator[Indices]:
    """The documents in groups that never part equal keys, each of about MOST_AT_ONCE rows or fewer."""
    n_parts = np.uint64(-(-len(documents) // MOST_AT_ONCE) or 1)
    for part in range(int(n_parts)):
        yield documents if n_parts == 1 else documents[keys[documents] % n_parts == part]
