"""Shard files mapped into memory, a bounded number at a time, each block checked when it is first touched.

Whatever the number of shards, descriptors and mappings stay bounded: CPython keeps a descriptor for each mapping, and a
table of 256 of them (macOS) is soon full. And a bit that was flipped on the disk is found before it is learnt from,
without anything being read at the start: a block costs its checksum once, some 60 µs.
"""

import errno
import mmap
import os
import sys
import threading
import weakref
from collections import OrderedDict
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chainrule.base import DataError, open_file
from chainrule.data.shards import BLOCK_BYTES, block_sum, read_layout, system_fault

if sys.platform != "win32":
    import resource

# Of the descriptors that this process may have, a quarter for shards.
SHARE, FEWEST, MOST = 4, 4, 1024
FULL = (errno.EMFILE, errno.ENFILE, errno.ENOMEM)


@dataclass(frozen=True)
class Shard:
    """The arrays of one shard that is in memory as a whole."""

    tokens: NDArray[Any]
    doc_ends: NDArray[np.uint64]
    sources: NDArray[np.uint32]

    @property
    def n_tokens(self) -> int:
        """Tokens in it."""
        return len(self.tokens)

    @property
    def n_documents(self) -> int:
        """Documents that end in it."""
        return len(self.doc_ends)

    def windows(self, starts: NDArray[np.int64], length: int) -> NDArray[Any]:
        """[starts, length] tokens."""
        return self.tokens[starts[:, None] + np.arange(length)]

    def stretch(self, start: int, stop: int) -> NDArray[Any]:
        """The tokens from start to before stop."""
        return self.tokens[start:stop]


class ShardFile:
    """The same, mapped from its file while it is used; raises DataError where a block is not what was written."""

    def __init__(self, path: Path) -> None:
        self.path, self.layout = path, read_layout(path)
        self.n_tokens, self.n_documents = self.layout.places["tokens"].length, self.layout.places["doc_ends"].length
        sums = self.layout.sums
        self._unchecked = np.ones(0 if sums is None else len(sums), bool)
        self._n_unchecked = len(self._unchecked)

    @property
    def doc_ends(self) -> NDArray[np.uint64]:
        """Position after each end-of-text token."""
        return self._array("doc_ends")

    @property
    def sources(self) -> NDArray[np.uint32]:
        """Number of each document's source."""
        return self._array("sources")

    @property
    def counts(self) -> NDArray[np.uint32] | None:
        """How often each id occurs; None where nobody counted."""
        return self._array("counts") if "counts" in self.layout.places else None

    def windows(self, starts: NDArray[np.int64], length: int) -> NDArray[Any]:
        """[starts, length] tokens."""
        return self._tokens(starts, length)[starts[:, None] + np.arange(length)]

    def stretch(self, start: int, stop: int) -> NDArray[Any]:
        """The tokens from start to before stop, copied: a view would keep the file mapped."""
        return self._tokens(np.array([start]), min(stop, self.n_tokens) - start)[start:stop].copy()

    def _tokens(self, starts: NDArray[np.int64], length: int) -> NDArray[Any]:
        """All tokens; those of the windows are checked."""
        content, place = POOL.content(self), self.layout.places["tokens"]
        if self._n_unchecked and length > 0:
            firsts = place.offset + starts * place.dtype.itemsize
            self._check(content, firsts, firsts + length * place.dtype.itemsize)
        return place.view(content)

    def _array(self, name: str) -> NDArray[Any]:
        content, place = POOL.content(self), self.layout.places[name]
        if self._n_unchecked and place.length:
            self._check(content, np.array([place.offset]), np.array([place.end]))
        return place.view(content)

    def _check(self, content: NDArray[np.uint8], firsts: NDArray[np.int64], ends: NDArray[np.int64]) -> None:
        """Compares the blocks between these bytes of the file with what was written, each once."""
        start, beyond, sums = self.layout.start, self.layout.places["sums"].offset, self.layout.sums
        first, last = (firsts - start) // BLOCK_BYTES, (ends - 1 - start) // BLOCK_BYTES
        spans = np.arange(int((last - first).max(initial=0)) + 1)
        blocks = np.unique(np.minimum(first[:, None] + spans, last[:, None]))
        for block in blocks[self._unchecked[blocks]].tolist():
            begin = start + block * BLOCK_BYTES
            end = min(begin + BLOCK_BYTES, beyond)
            if sums is not None and block_sum(content[begin:end]) != sums[block].tobytes():
                raise DataError(
                    f"{self.path}: was changed (bytes {begin} to {end} are not those that were written); restore the "
                    "file, or prepare the text again"
                )
            self._unchecked[block] = False
        self._n_unchecked = int(self._unchecked.sum())


class Pool:
    """The shard files that are mapped now, the longest unused first; a mapping goes when nobody uses it any more."""

    def __init__(self) -> None:
        self._mapped: OrderedDict[int, tuple[weakref.ref[ShardFile], NDArray[np.uint8]]] = OrderedDict()
        # Batches may be made in a thread of their own. Reentrant: the collector may forget a shard at any allocation.
        self._lock = threading.RLock()

    def content(self, shard: ShardFile) -> NDArray[np.uint8]:
        """All bytes of the file; raises DiskError when the system has no room for another file."""
        with self._lock:
            if id(shard) in self._mapped:
                self._mapped.move_to_end(id(shard))
                return self._mapped[id(shard)][1]
            most = most_mapped()
            while len(self._mapped) >= most:
                self._mapped.popitem(last=False)
            content = self._map(shard)
            number = id(shard)
            self._mapped[number] = weakref.ref(shard, lambda _: self._forget(number)), content
            return content

    def _forget(self, number: int) -> None:
        with self._lock:
            self._mapped.pop(number, None)

    def _map(self, shard: ShardFile) -> NDArray[np.uint8]:
        for remedy in (raise_limit, self._mapped.clear, None):
            try:
                return _mapping(shard.path, shard.layout.size)
            except OSError as fault:
                if fault.errno not in FULL or remedy is None:
                    raise system_fault(shard.path, fault) from fault
                remedy()
        raise AssertionError("the last attempt raises")


def _mapping(path: Path, size: int) -> NDArray[np.uint8]:
    with open_file(path) as stream:
        if os.fstat(stream.fileno()).st_size != size:
            raise DataError(f"{path}: its length changed while it was in use; prepare the text again")
        if sys.version_info >= (3, 13):
            mapping = mmap.mmap(stream.fileno(), size, access=mmap.ACCESS_READ, trackfd=False)
        else:
            mapping = mmap.mmap(stream.fileno(), size, access=mmap.ACCESS_READ)
    return np.frombuffer(mapping, np.uint8)


def most_mapped() -> int:
    """How many shards may be mapped at once: a quarter of the descriptors that this process may have."""
    limit = os.sysconf("SC_OPEN_MAX") if hasattr(os, "sysconf") else MOST * SHARE
    return max(FEWEST, min(MOST, limit // SHARE)) if limit > 0 else MOST


def raise_limit() -> None:
    """Allows this process as many descriptors as it may ask for."""
    if sys.platform != "win32":
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        # macOS reports no limit and refuses more than OPEN_MAX.
        wanted = min(hard, 10_240) if hard != resource.RLIM_INFINITY else 10_240
        if wanted > soft != resource.RLIM_INFINITY:
            with suppress(OSError, ValueError):
                resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


POOL = Pool()
