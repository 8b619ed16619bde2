"""What must not be trained on, such as the questions of a test: the runs of words that given sets have.

A set is text files, or rows of which every text in every column counts. Of each text all runs of so many words are
hashed; a document that has one of them is contaminated (Brown et al. 2020, arXiv:2005.14165, appendix C: 13 words). The
hashes lie sorted in a file that all workers map, and a table of bits before it answers for nearly all that is not
there.
"""

from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chainrule.base import DataError, write_bytes
from chainrule.config import TextConfig
from chainrule.data.documents import read_documents
from chainrule.data.files import Listing, TextFile, list_files
from chainrule.data.formats import BINARY
from chainrule.data.rows import ROWS
from chainrule.data.similarity import U64, shingle_hashes
from chainrule.data.streams import opened

NAME = "contaminants.bin"
# 2 MiB: it stays in a core's cache.
TABLE_BITS = 24
AT_ONCE = 1 << 20


def contaminating_files(config: TextConfig) -> Listing:
    """The files of the sets; raises DataError for one that is not there or cannot be read."""
    try:
        return list_files(config.decontaminate, "error", config)
    except DataError as fault:
        raise DataError(f"text.decontaminate: {fault}") from fault


def gather(config: TextConfig, files: Sequence[TextFile], folder: Path) -> None:
    """Writes the hashes of all runs of words of the sets into `folder`; raises DataError for sets that have none."""
    found = [np.empty(0, np.uint64)]
    for texts in _stretches(text for file in files for text in _texts(file, config)):
        found.append(np.unique(shingle_hashes(texts, config.decontaminate_words)[0]))
    hashes = np.unique(np.concatenate(found))
    if not hashes.size:
        raise DataError(
            f"text.decontaminate: no text there has {config.decontaminate_words} words in a row, so nothing could be "
            "found by it; take fewer by text.decontaminate_words"
        )
    write_bytes(folder / NAME, hashes.astype("<u8").tobytes())


def is_contaminated(content: bytes, n_words: int, folder: Path) -> bool:
    """Whether a run of words of the text is one of those that were gathered in `folder`."""
    path = folder / NAME
    # By its time as well: other sets may have been gathered there since.
    known, bits = _known(path, path.stat().st_mtime_ns)
    hashes = shingle_hashes([content], n_words)[0]
    suspected = hashes[_bits_at(bits, hashes)]
    places = np.searchsorted(known, suspected)
    inside = places < len(known)
    return bool((known[places[inside]] == suspected[inside]).any())


@lru_cache(maxsize=1)
def _known(path: Path, _mtime_ns: int) -> tuple[NDArray[Any], NDArray[np.uint8]]:
    """The hashes, mapped, and a bit for each of their first TABLE_BITS."""
    known = np.memmap(path, "<u8", "r")
    bits = np.zeros(1 << (TABLE_BITS - 3), np.uint8)
    for start in range(0, len(known), AT_ONCE):
        first = known[start : start + AT_ONCE] >> np.uint64(64 - TABLE_BITS)
        np.bitwise_or.at(bits, (first >> np.uint64(3)).astype(np.int64), _bit(first))
    return known, bits


def _bits_at(bits: NDArray[np.uint8], hashes: U64) -> NDArray[np.bool_]:
    first = hashes >> np.uint64(64 - TABLE_BITS)
    return (bits[(first >> np.uint64(3)).astype(np.int64)] & _bit(first)) != 0


def _bit(first: U64) -> NDArray[np.uint8]:
    return np.left_shift(np.uint8(1), (first & np.uint64(7)).astype(np.uint8))


def _stretches(texts: Iterable[bytes]) -> Iterator[list[bytes]]:
    waiting, size = list[bytes](), 0
    for text in texts:
        waiting.append(text)
        size += len(text)
        if size >= AT_ONCE:
            yield waiting
            waiting, size = [], 0
    if waiting:
        yield waiting


def _texts(file: TextFile, config: TextConfig) -> Iterator[bytes]:
    if file.kind not in ROWS:
        as_they_are = config.model_copy(update={"filters": (), "pii": "keep"})
        yield from (piece.content for piece, _ in read_documents(file, as_they_are))
        return
    with opened(file) as stream:
        if file.kind not in BINARY:
            stream.refuse_binary()
        for row in ROWS[file.kind](stream, None):
            if row.fields is None:
                raise DataError(f"text.decontaminate: {row.place}: {row.fault}; mend it, or leave the file out")
            yield from _within(dict(row.fields))


def _within(value: Any) -> Iterator[bytes]:
    """All texts inside a value of a row."""
    if isinstance(value, str):
        yield value.encode(errors="replace")
    for inner in value.values() if isinstance(value, dict) else value if isinstance(value, list | tuple) else ():
        yield from _within(inner)
