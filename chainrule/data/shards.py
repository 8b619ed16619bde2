"""The one door to the shard format: safetensors files of tokens, document ends and sources.

::

    doc_ends  U64 [documents]     position after each end-of-text token that stands in this shard
    sources   U32 [documents]     number of each of those documents' source in the manifest
    tokens    U16 or U32 [tokens]

A document may begin in one shard and end in a later one. The header is written here and not by the safetensors package,
because that one orders the metadata differently from run to run, and equal shards must be equal bytes.
"""

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chainrule.base import DataError, disk_faults, fsync_folder

FORMAT = "chainrule tokens 1"
NAMES: dict[str, np.dtype[Any]] = {"U16": np.dtype("<u2"), "U32": np.dtype("<u4"), "U64": np.dtype("<u8")}
LABELS = {dtype: label for label, dtype in NAMES.items()}
MOST_HEADER_BYTES = 1 << 20


@dataclass(frozen=True)
class Shard:
    """The arrays of one shard, mapped from its file."""

    tokens: NDArray[Any]
    doc_ends: NDArray[np.uint64]
    sources: NDArray[np.uint32]
    metadata: Mapping[str, str]


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
    tokens: list[NDArray[Any]],
    doc_ends: NDArray[np.uint64],
    sources: NDArray[np.uint32],
    metadata: Mapping[str, str],
) -> str:
    """Writes the shard whole or not at all (`tokens` are joined in the file, not in memory); returns its SHA-256."""
    n_tokens = sum(map(len, tokens))
    parts: list[tuple[str, np.dtype[Any], int]] = [
        ("doc_ends", doc_ends.dtype, len(doc_ends)),
        ("sources", sources.dtype, len(sources)),
        ("tokens", tokens[0].dtype, n_tokens),
    ]
    header: dict[str, Any] = {"__metadata__": dict(sorted({**metadata, "format": FORMAT}.items()))}
    offset = 0
    for name, dtype, length in parts:
        end = offset + length * dtype.itemsize
        header[name] = {"dtype": LABELS[dtype], "shape": [length], "data_offsets": [offset, end]}
        offset = end
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return _write_whole(path, [len(text).to_bytes(8, "little"), text], [doc_ends, sources, *tokens])


def _write_whole(path: Path, header: list[bytes], arrays: list[NDArray[Any]]) -> str:
    digest = hashlib.sha256()
    temporary = path.with_name(f".{path.name}.tmp-{os.getpid()}")
    with disk_faults(path, "writing"):
        try:
            with temporary.open("wb") as stream:
                for part in chain(header, (array.tobytes() for array in arrays)):
                    digest.update(part)
                    stream.write(part)
                stream.flush()
                os.fsync(stream.fileno())
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)
        fsync_folder(path.parent)
    return digest.hexdigest()


def read_shard(path: Path) -> Shard:
    """Maps the shard's arrays; raises DataError when the file is not a whole shard of this format."""
    try:
        size = path.stat().st_size
        with path.open("rb") as stream:
            length = int.from_bytes(stream.read(8), "little")
            header = json.loads(stream.read(length)) if length <= min(size, MOST_HEADER_BYTES) else None
        if not isinstance(header, dict) or header["__metadata__"].get("format") != FORMAT:
            raise ValueError("it is no shard of this format")
        start = 8 + length
        arrays = {name: _mapped(path, header[name], start) for name in ("doc_ends", "sources", "tokens")}
        if start + max(entry["data_offsets"][1] for name, entry in header.items() if name in arrays) != size:
            raise ValueError("its length is not what its header says")
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as fault:
        raise DataError(f"{path}: is not a readable token shard ({fault}); prepare the text again") from fault
    return Shard(arrays["tokens"], arrays["doc_ends"], arrays["sources"], header["__metadata__"])


def _mapped(path: Path, entry: Mapping[str, Any], start: int) -> NDArray[Any]:
    dtype, (first, end), (length,) = NAMES[entry["dtype"]], entry["data_offsets"], entry["shape"]
    if end - first != length * dtype.itemsize:
        raise ValueError("a shape in its header does not fit its offsets")
    if length == 0:
        return np.empty(0, dtype)
    # A plain view of the mapping: np.memmap's own indexing is several times slower.
    return np.asarray(np.memmap(path, dtype, mode="r", offset=start + first, shape=(length,)))
