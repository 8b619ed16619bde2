"""Which document repeats an earlier one: exactly by digest, nearly by banded hashing of signatures.

Two documents of similarity s agree in a band of r places with probability s**r, and in one of b such bands with
1-(1-s**r)**b. Bands only propose pairs; the whole signatures decide. One band is sorted at a time, in parts, and links
are kept for copies alone: for each document that is none there is little more than a bit.
"""

import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO

import numpy as np
from numpy.typing import NDArray

from chainrule.base import disk_faults
from chainrule.data.arrays import whole_read
from chainrule.data.document_links import DocumentLinks, Indices, index_type
from chainrule.data.similarity import PERMUTATIONS
from chainrule.data.table import TableFiles

# A pair exactly at the threshold is proposed at least this often; more similar ones nearly always.
RECALL = 0.99
# What is sorted at once takes some 40 bytes a row. For each of few parts all keys are read again; for many they are
# parted on the disk once.
MOST_AT_ONCE, MOST_PARTS = 1 << 18, 8
CHUNK_ROWS, PARTED_ROWS = 1 << 17, 1 << 20
PAIR = np.dtype([("key", "<u8"), ("document", "<u8")])
# Times that members of a bucket who are not like its first are compared with the first of them.
ROUNDS = 4
KEY_BYTES = 8

Keys = NDArray[np.uint64]


def band_shape(threshold: float) -> tuple[int, int]:
    """(bands, rows of each): the longest bands that still propose pairs at the threshold with probability RECALL."""
    for rows in range(PERMUTATIONS, 1, -1):
        bands = PERMUTATIONS // rows
        if 1 - (1 - threshold**rows) ** bands >= RECALL:
            return bands, rows
    return PERMUTATIONS, 1


def exact_links(digests: Keys, usable: NDArray[np.bool_], folder: Path | None = None) -> DocumentLinks:
    """From each document to the first one of the same content. Digests are [n, 2]; those of many wait in `folder`."""
    found = list[tuple[Indices, Indices]]()
    for part, keys in _parts(usable, lambda start, end: digests[start:end, 0], folder):
        by_key = np.argsort(keys, kind="stable")
        order, halves = part[by_key], keys[by_key]
        first = np.ones(len(order), bool)
        first[1:] = halves[1:] != halves[:-1]
        # The other halves are looked at only where the first ones agree, which is rare: memory, not time.
        equal = np.flatnonzero(~first)
        first[equal] = digests[order[equal], 1] != digests[order[equal - 1], 1]
        copies = np.flatnonzero(~first)
        found.append((order[copies], order[_leaders(first)[copies]]))
    return DocumentLinks.joined(len(digests), found)


def near_links(tables: TableFiles, candidates: NDArray[np.bool_], threshold: float) -> DocumentLinks:
    """From each of the candidates to an earlier one that is a near duplicate, where one was found."""
    n = len(candidates)
    bands, rows = band_shape(threshold)
    linked, found = np.zeros(n, bool), list[tuple[Indices, Indices]]()
    if np.count_nonzero(candidates) < 2:
        return DocumentLinks.joined(n, found)
    # In this order: what is left in the buffer is written when the file is closed, and a full disk refuses that too.
    with disk_faults(tables.folder, "writing band keys in"), tempfile.TemporaryFile(dir=tables.folder) as stream:
        _write_band_keys(tables, n, bands, rows, stream)
        for band in range(bands):

            def keys_of(start: int, end: int, first: int = band * n) -> Keys:
                stream.seek((first + start) * KEY_BYTES)
                return np.frombuffer(whole_read(stream, (end - start) * KEY_BYTES, tables.folder), np.uint64)

            for part, keys in _parts(candidates, keys_of, tables.folder):
                by_key = np.argsort(keys, kind="stable")
                found += _link_buckets(tables, linked, part[by_key], keys[by_key], threshold)
    return DocumentLinks.joined(n, found)


def near_duplicates(tables: TableFiles, links: DocumentLinks, threshold: float) -> Indices:
    """Documents that are near duplicates of an earlier document that stays.

    A document that is like a removed one but not like the one that stays for it, stays too: chains do not eat a corpus.
    """
    removed, onward = np.zeros(len(links.documents), bool), links.onward
    for place, (document, target) in enumerate(zip(links.documents.tolist(), links.targets.tolist(), strict=True)):
        kept, at = target, onward[place]
        while at >= 0 and removed[at]:
            kept, at = int(links.targets[at]), onward[at]
        pair = np.array([kept]), np.array([document])
        removed[place] = kept == target or tables.agreement(*pair)[0] >= threshold
    return links.documents[removed]


def _link_buckets(
    tables: TableFiles, linked: NDArray[np.bool_], order: Indices, keys: Keys, threshold: float
) -> Iterator[tuple[Indices, Indices]]:
    """Compares the members of each bucket (equal keys, ascending documents) with its first, and links those alike."""
    for _ in range(ROUNDS):
        first = np.ones(len(order), bool)
        first[1:] = keys[1:] != keys[:-1]
        # Whoever is linked already needs no second link, but it may still lead.
        members = np.flatnonzero(~first & ~linked[order])
        if not members.size:
            return
        leaders = order[_leaders(first)[members]]
        alike = tables.agreement(leaders, order[members]) >= threshold
        yield order[members[alike]], leaders[alike]
        linked[order[members[alike]]] = True
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


def _parts(
    wanted: NDArray[np.bool_], keys_of: Callable[[int, int], Keys], folder: Path | None
) -> Iterator[tuple[Indices, Keys]]:
    """The wanted documents and their keys, ascending, in groups of bounded size that never part equal keys.

    `keys_of` gives the keys of a stretch of all documents; where there are many, they are parted in `folder`.
    """
    wanted_parts = -(-int(np.count_nonzero(wanted)) // MOST_AT_ONCE)
    n_parts = 1 << max(0, wanted_parts - 1).bit_length()
    if n_parts > MOST_PARTS:
        yield from _parted(wanted, keys_of, n_parts, folder)
        return
    for part in range(n_parts):
        documents, keys = [np.empty(0, index_type(len(wanted)))], [np.empty(0, np.uint64)]
        for found, stretch in _stretches(wanted, keys_of, CHUNK_ROWS):
            chosen = stretch & np.uint64(n_parts - 1) == part
            documents.append(found[chosen].astype(documents[0].dtype))
            keys.append(stretch[chosen])
        yield np.concatenate(documents), np.concatenate(keys)


def _parted(
    wanted: NDArray[np.bool_], keys_of: Callable[[int, int], Keys], n_parts: int, folder: Path | None
) -> Iterator[tuple[Indices, Keys]]:
    """The same by way of a file with a place for each part: no more than one of them is in memory."""
    mask, sizes = np.uint64(n_parts - 1), np.zeros(n_parts, np.int64)
    for _, keys in _stretches(wanted, keys_of, PARTED_ROWS):
        sizes += np.bincount((keys & mask).astype(np.int64), minlength=n_parts)
    ends = np.cumsum(sizes)
    place = folder or Path(tempfile.gettempdir())
    with disk_faults(place, "parting keys in"), tempfile.TemporaryFile(dir=folder) as stream:
        filled = ends - sizes
        for documents, keys in _stretches(wanted, keys_of, PARTED_ROWS):
            of_part = (keys & mask).astype(np.int64)
            order = np.argsort(of_part, kind="stable")
            rows = np.empty(len(keys), PAIR)
            rows["key"], rows["document"] = keys[order], documents[order]
            counts = np.bincount(of_part, minlength=n_parts)
            starts = np.cumsum(counts) - counts
            for part in np.flatnonzero(counts).tolist():
                stream.seek(int(filled[part]) * PAIR.itemsize)
                stream.write(rows[starts[part] : starts[part] + counts[part]].tobytes())
            filled += counts
        for start, size in zip((ends - sizes).tolist(), sizes.tolist(), strict=True):
            stream.seek(start * PAIR.itemsize)
            rows = np.frombuffer(whole_read(stream, size * PAIR.itemsize, place), PAIR)
            yield rows["document"].astype(index_type(len(wanted))), rows["key"].astype(np.uint64)


def _stretches(
    wanted: NDArray[np.bool_], keys_of: Callable[[int, int], Keys], n_rows: int
) -> Iterator[tuple[NDArray[np.int64], Keys]]:
    """The wanted documents and their keys, stretch by stretch of all documents."""
    for start in range(0, len(wanted), n_rows):
        found = np.flatnonzero(wanted[start : start + n_rows])
        yield found + start, keys_of(start, min(start + n_rows, len(wanted)))[found]
