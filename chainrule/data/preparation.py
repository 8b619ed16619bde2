"""Pass 2 as a whole: from the survey and a tokenizer to shards and their manifest."""

import hashlib
from functools import partial
from pathlib import Path
from typing import Any

from chainrule.base import DataError, disk_faults
from chainrule.data.encoding import encode
from chainrule.data.journal import ShardJournal
from chainrule.data.manifest import Manifest, make_manifest, save_manifest
from chainrule.data.packing import Packing
from chainrule.data.scan import Progress
from chainrule.data.shards import token_dtype
from chainrule.data.store import TokenStore, open_shards
from chainrule.data.survey import Split, Survey
from chainrule.data.workers import ordered_map, worker_count
from chainrule.tokenizer import Tokenizer

# Held-out text first: should there be too little of it, that is known early.
SPLITS: tuple[Split, ...] = ("validation", "train")
SIDES = {"validation": "held-out", "train": "training"}
SHARD_BYTES = 64 << 20


def write_shards(
    survey: Survey,
    tokenizer: Tokenizer,
    folder: Path,
    *,
    context_length: int,
    workers: int = 0,
    on_progress: Progress | None = None,
    shard_bytes: int = SHARD_BYTES,
) -> Manifest:
    """Writes the token shards and manifest.json of `survey` into `folder`; returns the manifest.

    What an interrupted call with the same survey and tokenizer finished is kept, and the end is the same to the byte.
    `workers`: processes; 0 chooses. Raises DataError when either side of the split has fewer tokens than one window
    (context_length + 1), when a file is not what it was, or when an id is beyond the vocabulary.
    """
    shard_tokens = shard_bytes // token_dtype(tokenizer.vocab_size).itemsize
    with disk_faults(folder, "creating"):
        (folder / "survey").mkdir(parents=True, exist_ok=True)
    journal = ShardJournal(folder, _key(survey, tokenizer, shard_bytes))
    total = sum(map(survey.split_bytes, SPLITS))

    def tell(done: int) -> None:
        if on_progress:
            on_progress("tokens", min(done, total), total)

    packing = Packing(survey, tokenizer, folder, journal, shard_tokens, tell)
    n_workers = 1 if journal.is_final("train") else worker_count(workers, total)
    with ordered_map(partial(encode, tokenizer), n_workers) as encode_all:
        for split in SPLITS:
            if not journal.is_final(split):
                packing.write(split, encode_all)
            _refuse_too_little(journal, split, context_length)
    manifest = _manifest(survey, tokenizer, folder, journal)
    save_manifest(manifest, folder)
    return manifest


def _manifest(survey: Survey, tokenizer: Tokenizer, folder: Path, journal: ShardJournal) -> Manifest:
    return make_manifest(
        tokenizer=tokenizer.fingerprint,
        vocab_size=tokenizer.vocab_size,
        end_of_text=tokenizer.end_of_text,
        dtype=token_dtype(tokenizer.vocab_size).name,
        sources=tuple(survey.sources),
        shards=tuple(shard.entry for shard in journal.finished),
        report=_report(survey, journal, folder),
    )


def _refuse_too_little(journal: ShardJournal, split: Split, context_length: int) -> None:
    n_tokens = sum(shard.entry.tokens for shard in journal.of(split))
    if n_tokens < context_length + 1:
        raise DataError(
            f"the {SIDES[split]} text has {n_tokens} tokens, but one window needs {context_length + 1} "
            "(context_length + 1); give more text, a larger text.validation_share, or a smaller model.context_length"
        )


def _report(survey: Survey, journal: ShardJournal, folder: Path) -> dict[str, Any]:
    """The survey's figures with those of the tokens."""
    report = {**survey.report, "tokens": {}, "split_bytes": {}, "split_documents": {}}
    sources = {name: {**figures, "tokens": 0, "validation_tokens": 0} for name, figures in report["sources"].items()}
    for split in reversed(SPLITS):
        finished = journal.of(split)
        report["tokens"][split] = sum(shard.entry.tokens for shard in finished)
        report["split_bytes"][split] = sum(shard.n_bytes for shard in finished)
        report["split_documents"][split] = sum(shard.entry.documents for shard in finished)
        store = TokenStore(open_shards(folder, [shard.entry.file for shard in finished]), tuple(survey.sources))
        for name, ranges in store.sources().items():
            n_tokens = int((ranges[:, 1] - ranges[:, 0]).sum())
            sources[name]["tokens"] += n_tokens
            sources[name]["validation_tokens"] += n_tokens if split == "validation" else 0
    return {**report, "sources": sources}


def _key(survey: Survey, tokenizer: Tokenizer, shard_bytes: int) -> str:
    content = f"{survey.key} {tokenizer.fingerprint} {tokenizer.vocab_size} {tokenizer.end_of_text} {shard_bytes}"
    return hashlib.sha256(content.encode()).hexdigest()
