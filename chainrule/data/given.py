"""A data set of documents that are ids already, such as conversations: the same shards, written at once."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from chainrule.base import disk_faults
from chainrule.data.manifest import VERSION, Manifest, ShardEntry, save_manifest, sealed
from chainrule.data.shards import narrowed, token_dtype, write_shard
from chainrule.data.store import Dataset, open_dataset
from chainrule.run import DataReport, Source
from chainrule.tokenizer import Tokenizer

EXAMPLES = "examples"
"""What the report says is held out, where it is whole documents that somebody chose."""
Documents = Sequence[NDArray[np.int64]]
"""The ids of each document."""


def write_documents(
    folder: Path, sides: Mapping[str, Documents], tokenizer: Tokenizer, source: str, n_files: int = 1
) -> Dataset:
    """Writes the documents of "train" and "validation", one shard each, and opens them.

    Nothing is put between them: whoever wants an end-of-text token gives it. Sizes are those of the text of the ids.
    """
    with disk_faults(folder, "creating"):
        folder.mkdir(parents=True, exist_ok=True)
    entries = tuple(_write_side(folder, side, documents, tokenizer) for side, documents in sides.items())
    manifest = Manifest(
        version=VERSION,
        fingerprint="",
        tokenizer=tokenizer.fingerprint,
        vocab_size=tokenizer.vocab_size,
        end_of_text=tokenizer.end_of_text,
        dtype=token_dtype(tokenizer.vocab_size).name,
        sources=(source,),
        shards=entries,
        report=_report(sides, tokenizer, source, n_files),
    )
    save_manifest(sealed(manifest), folder)
    return open_dataset(folder)


def _write_side(folder: Path, side: str, documents: Documents, tokenizer: Tokenizer) -> ShardEntry:
    dtype = token_dtype(tokenizer.vocab_size)
    ids = narrowed(np.concatenate([np.empty(0, np.int64), *documents]), tokenizer.vocab_size)
    arrays = {
        "doc_ends": np.cumsum([len(document) for document in documents]).astype("<u8"),
        "sources": np.zeros(len(documents), "<u4"),
        "counts": np.bincount(ids, minlength=tokenizer.vocab_size).astype("<u4"),
    }
    path = folder / f"{side}-00000.safetensors"
    written = write_shard(path, arrays, [ids], len(ids), dtype, {"split": side, "tokenizer": tokenizer.fingerprint})
    return ShardEntry(path.name, side, len(ids), len(documents), written.sha256, written.root)


def _report(sides: Mapping[str, Documents], tokenizer: Tokenizer, source: str, n_files: int) -> DataReport:
    sizes = {side: sum(_n_bytes(one, tokenizer) for one in documents) for side, documents in sides.items()}
    tokens = {side: sum(map(len, documents)) for side, documents in sides.items()}
    counts = {side: len(documents) for side, documents in sides.items()}
    about = Source(sum(counts.values()), sum(sizes.values()), sum(tokens.values()), tokens.get("validation", 0))
    return DataReport(
        documents=sum(counts.values()),
        read_documents=sum(counts.values()),
        bytes=sum(sizes.values()),
        files=n_files,
        held_out=EXAMPLES,
        tokens=tokens,
        split_bytes=sizes,
        split_documents=counts,
        sources={source: about},
    )


def _n_bytes(ids: NDArray[np.int64], tokenizer: Tokenizer) -> int:
    return int(tokenizer.byte_lengths[ids].sum())
