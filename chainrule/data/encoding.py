"""A worker's part of pass 2: a unit is read again and the kept documents of one side become token ids."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from chainrule.base import disk_faults, new_file, temporary_name
from chainrule.data.jobs import Job, Split, read_job
from chainrule.data.parallel import portions
from chainrule.data.shards import narrowed
from chainrule.tokenizer import Tokenizer

# The ids of a large file go through the disk rather than through a pipe and two memories.
SPOOL_BYTES = 32 << 20


class EncodedPart(NamedTuple):
    """The token ids of a piece of a document."""

    document: int
    n_bytes: int
    last: bool
    ids: NDArray[Any]


class Encoded(NamedTuple):
    """What became of the kept documents of one side of a unit."""

    documents: NDArray[np.int64]
    n_bytes: NDArray[np.int64]
    last: NDArray[np.bool_]
    n_ids: NDArray[np.int64]
    ids: NDArray[Any]
    spooled: str = ""
    """The file in which the ids lie instead."""

    def parts(self) -> Iterator[EncodedPart]:
        """Each piece in order; the file of the ids goes with the last one."""
        ids = np.memmap(self.spooled, self.ids.dtype, mode="r") if self.spooled else self.ids
        ends = np.cumsum(self.n_ids)
        columns = (self.documents, self.n_bytes, self.last, ends - self.n_ids, ends)
        for document, n_bytes, last, start, end in zip(*(column.tolist() for column in columns), strict=True):
            # Copied from the file: on Windows one that is still mapped cannot be removed.
            yield EncodedPart(document, n_bytes, last, np.array(ids[start:end]) if self.spooled else ids[start:end])
        if self.spooled:
            del ids
            Path(self.spooled).unlink()


def encode_job(tokenizer: Tokenizer, folder: Path, given: tuple[Split, int, Job]) -> Encoded:
    """The ids of one side of a unit, given with its number, in the dtype of the shards.

    Raises DataError for an id that is not in the vocabulary, or when a file is not what it was when it was surveyed.
    """
    split, number, job = given
    rows: list[tuple[int, int, bool, int]] = []
    spool = _Spool(temporary_name(folder / f"tokens-{number}"))
    parts = (part for side, part in read_job(job) if side == split)
    for batch in portions(parts):
        for part, ids in zip(batch, encode(tokenizer, [part.content for part in batch]), strict=True):
            rows.append((part.document, len(part.content), part.last, len(ids)))
            spool.add(ids)
    columns = np.array(rows, np.int64).reshape(-1, 4).T
    ids, spooled = spool.close(narrowed(np.empty(0, np.uint32), tokenizer.vocab_size))
    return Encoded(columns[0], columns[1], columns[2].astype(bool), columns[3], ids, spooled)


def encode(tokenizer: Tokenizer, contents: Sequence[bytes]) -> list[NDArray[Any]]:
    """The ids of each content in the dtype of the shards; raises DataError for an id that is not in the vocabulary."""
    encoded = tokenizer.encode_batch([content.decode() for content in contents])
    return [narrowed(np.asarray(ids), tokenizer.vocab_size) for ids in encoded]


class _Spool:
    """Arrays that wait to be handed over: in memory, or on the disk when they are large."""

    def __init__(self, path: Path) -> None:
        self._path, self._waiting, self._bytes, self._on_disk = path, list[NDArray[Any]](), 0, False

    def add(self, ids: NDArray[Any]) -> None:
        self._waiting.append(ids)
        self._bytes += ids.nbytes
        if self._bytes >= SPOOL_BYTES:
            self._write()

    def close(self, empty: NDArray[Any]) -> tuple[NDArray[Any], str]:
        """All ids, or none (`empty`) and the file that holds them."""
        if not self._on_disk:
            return np.concatenate([empty, *self._waiting]), ""
        self._write()
        return empty, str(self._path)

    def _write(self) -> None:
        with (
            disk_faults(self._path, "writing"),
            self._path.open("ab") if self._on_disk else new_file(self._path) as stream,
        ):
            for ids in self._waiting:
                stream.write(ids.tobytes())
        self._waiting, self._bytes, self._on_disk = [], 0, True
