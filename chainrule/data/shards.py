"""The one door to the shard format: safetensors files of tokens, document ends and sources.

::

    doc_ends  U64 [documents]     position after each end-of-text token that stands in this shard
    sources   U32 [documents]     number of each of those documents' source in the manifest
    counts    U32 [vocabulary]    how often each id occurs (not for vocabularies beyond MOST_COUNTED)
    tokens    U16 or U32 [tokens]
    sums      U64 [blocks]        a checksum of each BLOCK_BYTES of all the arrays above

A document may begin in one shard and end in a later one. Older shards have neither counts nor sums. The header is
written here and not by the safetensors package, because that one orders the metadata differently from run to run, and
equal shards must be equal bytes.
"""

import errno
import hashlib
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np
from numpy.typing import NDArray

from chainrule.base import ChainruleError, DataError, DiskError, open_file, sha256_of_file, whole_file

FORMAT = "chainrule tokens 1"
NAMES: dict[str, np.dtype[Any]] = {"U16": np.dtype("<u2"), "U32": np.dtype("<u4"), "U64": np.dtype("<u8")}
LABELS = {dtype: label for label, dtype in NAMES.items()}
MOST_HEADER_BYTES = 1 << 20
ARRAYS = ("doc_ends", "sources", "tokens")
# What is read at once from the disk anyway; 8 bytes for each are one in 8,192.
BLOCK_BYTES = 1 << 16
# 4 MB in every shard; no vocabulary of today comes near.
MOST_COUNTED = 1 << 20


class Place(NamedTuple):
    """Where an array stands in its file."""

    dtype: np.dtype[Any]
    offset: int
    length: int

    @property
    def end(self) -> int:
        """The first byte beyond it."""
        return self.offset + self.length * self.dtype.itemsize

    def view(self, content: NDArray[np.uint8]) -> NDArray[Any]:
        """The array as a view of the file's bytes."""
        return content[self.offset : self.end].view(self.dtype)


@dataclass(frozen=True)
class Layout:
    """What the header of a shard says, and the checksums of its blocks (None: an older shard without)."""

    size: int
    start: int
    """The first byte after the header."""
    places: Mapping[str, Place]
    metadata: Mapping[str, str]
    sums: NDArray[np.uint64] | None
    root: str
    """SHA-256 of header and sums; empty without sums."""


class Written(NamedTuple):
    """The SHA-256 of a whole shard, and of its header and sums alone."""

    sha256: str
    root: str


def token_dtype(vocab_size: int) -> np.dtype[Any]:
    """The smallest of uint16 and uint32 that holds every id; raises DataError for a vocabulary beyond both."""
    if vocab_size <= 0 or vocab_size > 1 << 32:
        raise DataError(f"a vocabulary of {vocab_size} entries cannot be stored; up to {1 << 32} fit")
    return np.dtype("<u2") if vocab_size <= 1 << 16 else np.dtype("<u4")


def narrowed(ids: NDArray[Any], vocab_size: int) -> NDArray[Any]:
    """The ids in the shard's dtype; raises DataError when one is not in the vocabulary (a cast would wrap it)."""
    if ids.size and not (0 <= int(ids.min()) <= int(ids.max()) < vocab_size):
        raise DataError(
            f"the tokenizer gave ids from {int(ids.min())} to {int(ids.max())}, but its vocabulary has {vocab_size} "
            "entries, counted from 0"
        )
    return ids.astype(token_dtype(vocab_size), copy=False)


def write_shard(
    path: Path,
    arrays: Mapping[str, NDArray[Any]],
    tokens: Iterable[NDArray[Any]],
    n_tokens: int,
    dtype: np.dtype[Any],
    metadata: Mapping[str, str],
) -> Written:
    """Writes the shard whole or not at all; `tokens`, `n_tokens` of `dtype`, come piece by piece and are not joined."""
    lengths = [(name, array.dtype, len(array)) for name, array in arrays.items()] + [("tokens", dtype, n_tokens)]
    n_bytes = sum(kind.itemsize * length for _, kind, length in lengths)
    header: dict[str, Any] = {"__metadata__": dict(sorted({**metadata, "format": FORMAT}.items()))}
    offset = 0
    for name, kind, length in (*lengths, ("sums", NAMES["U64"], -(-n_bytes // BLOCK_BYTES))):
        end = offset + length * kind.itemsize
        header[name] = {"dtype": LABELS[kind], "shape": [length], "data_offsets": [offset, end]}
        offset = end
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with whole_file(path) as stream:
        return _write(stream, len(text).to_bytes(8, "little") + text, chain(arrays.values(), tokens))


def _write(stream: BinaryIO, header: bytes, arrays: Iterable[NDArray[Any]]) -> Written:
    whole, root, sums = hashlib.sha256(header), hashlib.sha256(header), bytearray()
    stream.write(header)
    for block in _blocks(array.tobytes() for array in arrays):
        whole.update(block)
        sums += block_sum(block)
        stream.write(block)
    for digest in (whole, root):
        digest.update(sums)
    stream.write(sums)
    return Written(whole.hexdigest(), root.hexdigest())


def _blocks(parts: Iterable[bytes]) -> Iterator[memoryview]:
    """The same bytes in blocks of BLOCK_BYTES; the last may be shorter."""
    rest = bytearray()
    for part in (memoryview(part) for part in parts):
        taken = 0
        if rest:
            taken = min(BLOCK_BYTES - len(rest), len(part))
            rest += part[:taken]
            if len(rest) < BLOCK_BYTES:
                continue
            yield memoryview(bytes(rest))
            rest.clear()
        whole = taken + (len(part) - taken) // BLOCK_BYTES * BLOCK_BYTES
        for start in range(taken, whole, BLOCK_BYTES):
            yield part[start : start + BLOCK_BYTES]
        rest += part[whole:]
    if rest:
        yield memoryview(bytes(rest))


def block_sum(block: Any) -> bytes:
    """Eight bytes that tell a block from a damaged one."""
    return hashlib.blake2b(block, digest_size=8).digest()


def read_layout(path: Path) -> Layout:
    """What the shard's header says; raises DataError when the file is not a whole shard of this format."""
    try:
        with open_file(path) as stream:
            return _layout(stream)
    except OSError as fault:
        raise system_fault(path, fault) from fault
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as fault:
        raise DataError(f"{path}: is not a readable token shard ({fault})") from fault


def _layout(stream: BinaryIO) -> Layout:
    size = os.fstat(stream.fileno()).st_size
    first = stream.read(8)
    length = int.from_bytes(first, "little")
    text = stream.read(length) if length <= min(size, MOST_HEADER_BYTES) else b""
    header = json.loads(text)
    if not isinstance(header, dict) or header["__metadata__"].get("format") != FORMAT:
        raise ValueError("it is no shard of this format")
    start = 8 + length
    places = {name: _place(header[name], start) for name in (*ARRAYS, *(set(header) & {"counts", "sums"}))}
    if max(place.end for place in places.values()) != size:
        raise ValueError("its length is not what its header says")
    if "sums" not in places:
        return Layout(size, start, places, header["__metadata__"], None, "")
    stream.seek(places["sums"].offset)
    sums = stream.read()
    root = hashlib.sha256(first + text + sums).hexdigest()
    return Layout(size, start, places, header["__metadata__"], np.frombuffer(sums, "<u8"), root)


def _place(entry: Mapping[str, Any], start: int) -> Place:
    dtype, (first, end), (length,) = NAMES[entry["dtype"]], entry["data_offsets"], entry["shape"]
    if end - first != length * dtype.itemsize or first < 0:
        raise ValueError("a shape in its header does not fit its offsets")
    return Place(dtype, start + first, length)


def sha256_of(path: Path) -> str:
    """Hexadecimal SHA-256 of the whole file; raises as read_layout does when the system refuses it."""
    try:
        return sha256_of_file(path)
    except OSError as fault:
        raise system_fault(path, fault) from fault


def system_fault(path: Path, fault: OSError) -> ChainruleError:
    """What to raise when the system refuses a shard: only one that is not there is the text's fault."""
    if isinstance(fault, FileNotFoundError):
        return DataError(f"{path}: is missing")
    if fault.errno in (errno.EMFILE, errno.ENFILE):
        return DiskError(
            f"{path}: cannot be opened, because too many files are open; the prepared text is well. Close some, or "
            "allow more, as by `ulimit -n 4096`"
        )
    if fault.errno == errno.ENOMEM:
        return DiskError(
            f"{path}: cannot be mapped, because the address space of this process is full; the prepared text is "
            "well. Allow more, as by `ulimit -v unlimited`"
        )
    return DiskError(f"{path}: cannot be read ({fault.strerror or fault}); whether its content is well is not known")
