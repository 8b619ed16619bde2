"""Pass 2 as a whole: from the survey and a tokenizer to shards and their manifest."""

import hashlib
from functools import partial
from pathlib import Path

from chainrule.base import DataError, disk_faults
from chainrule.data.encoding import encode_job
from chainrule.data.executors import Executor
from chainrule.data.jobs import Split
from chainrule.data.journal import ShardJournal
from chainrule.data.manifest import VERSION, Manifest, save_manifest, sealed
from chainrule.data.packing import HELD_BYTES, Packing
from chainrule.data.scan import Progress
from chainrule.data.shard_room import require_shard_room
from chainrule.data.shards import token_dtype
from chainrule.data.spreading import MOST_TASKS, Load, Spread
from chainrule.data.surveying import Survey
from chainrule.run import DataReport
from chainrule.tokenizer import Tokenizer

# Held-out text first: should there be too little of it, that is known early.
SPLITS: tuple[Split, ...] = ("validation", "train")
SIDES = {"validation": "held-out", "train": "training"}
# The number of shards stays below a few hundred whatever the size of the text, and a small text's work is saved often.
LEAST_SHARD_BYTES, MOST_SHARD_BYTES, SHARDS = 64 << 20, 2 << 30, 256
UNITS_OF_TASK = 16
# Part of every key: shards of an older way of writing are not gone on with.
FORMAT = 3


def write_shards(
    survey: Survey,
    tokenizer: Tokenizer,
    folder: Path,
    *,
    context_length: int,
    workers: int = 0,
    executor: Executor | None = None,
    on_progress: Progress | None = None,
    shard_bytes: int = 0,
) -> Manifest:
    """Writes the token shards and manifest.json of `survey` into `folder`; returns the manifest.

    What an interrupted call with the same survey and tokenizer finished is kept, and the end is the same to the byte.
    `workers`: processes; 0 chooses; or tasks of an `executor`, unless a compressed file was divided. `shard_bytes`:
    bytes of tokens in a shard; 0 lets them grow with the text. Raises DataError when either side of the split has fewer
    tokens than one window (context_length + 1), when a file is not what it was, or when an id is beyond the vocabulary;
    DiskError, before the first shard, when there is no room for all of them.
    """
    total = sum(map(survey.split_bytes, SPLITS))
    shard_bytes = shard_bytes or fitting_shard_bytes(total)
    token_bytes = token_dtype(tokenizer.vocab_size).itemsize
    shard_tokens = shard_bytes // token_bytes
    with disk_faults(folder, "creating"):
        (folder / "survey").mkdir(parents=True, exist_ok=True)
    journal = ShardJournal(folder, shards_key(survey, tokenizer, shard_bytes))
    left = 0 if journal.is_final("train") else total - journal.n_bytes
    if left > 0:
        held = min(shard_bytes, left * token_bytes) if left * token_bytes > HELD_BYTES else 0
        require_shard_room(survey, tokenizer, folder, token_bytes=token_bytes, text_bytes=left, held_bytes=held)

    def tell(done: int) -> None:
        if on_progress:
            on_progress("tokens", min(done, total), total)

    packing = Packing(survey, tokenizer, folder, journal, shard_tokens, tell)
    key = shards_key(survey, tokenizer, shard_bytes)
    units_of_task = max(UNITS_OF_TASK, survey.n_units // MOST_TASKS)
    load = Load(folder, total, key, lambda label: label[1] // units_of_task, lambda done, n: tell(total * done // n))
    spread = Spread(1 if journal.is_final("train") else workers, None if survey.unfolds else executor)
    with spread.map(partial(encode_job, tokenizer), load) as encode_all:
        for split in SPLITS:
            if not journal.is_final(split):
                packing.write(split, encode_all)
            _refuse_too_little(journal, split, context_length)
    manifest = _manifest(survey, tokenizer, folder, journal)
    save_manifest(manifest, folder)
    return manifest


def fitting_shard_bytes(text_bytes: int) -> int:
    """Bytes of tokens in a shard: a power of two between 64 MiB and 2 GiB, a 256th of the text or more.

    Two bytes for three to four of text: 1 TB becomes some 300 shards.
    """
    wanted = 1 << max(0, text_bytes // SHARDS - 1).bit_length()
    return min(max(wanted, LEAST_SHARD_BYTES), MOST_SHARD_BYTES)


def _manifest(survey: Survey, tokenizer: Tokenizer, folder: Path, journal: ShardJournal) -> Manifest:
    manifest = Manifest(
        version=VERSION,
        fingerprint="",
        tokenizer=tokenizer.fingerprint,
        vocab_size=tokenizer.vocab_size,
        end_of_text=tokenizer.end_of_text,
        dtype=token_dtype(tokenizer.vocab_size).name,
        sources=tuple(survey.sources),
        shards=tuple(shard.entry for shard in journal.finished),
        report=_report(survey, journal),
    )
    return sealed(manifest)


def _refuse_too_little(journal: ShardJournal, split: Split, context_length: int) -> None:
    n_tokens = sum(shard.entry.tokens for shard in journal.of(split))
    if n_tokens < context_length + 1:
        raise DataError(
            f"the {SIDES[split]} text has {n_tokens} tokens, but one window needs {context_length + 1} "
            "(context_length + 1); give more text, a larger text.validation_share, or a smaller model.context_length"
        )


def _report(survey: Survey, journal: ShardJournal) -> DataReport:
    """The survey's figures with those of the tokens."""
    report = {**survey.report, "tokens": {}, "split_bytes": {}, "split_documents": {}}
    sources = {name: {**figures, "tokens": 0, "validation_tokens": 0} for name, figures in report["sources"].items()}
    for split in reversed(SPLITS):
        finished = journal.of(split)
        report["tokens"][split] = sum(shard.entry.tokens for shard in finished)
        report["split_bytes"][split] = sum(shard.n_bytes for shard in finished)
        report["split_documents"][split] = sum(shard.entry.documents for shard in finished)
        for shard in finished:
            for number, n_tokens in shard.source_tokens.items():
                figures = sources[survey.sources[int(number)]]
                figures["tokens"] += n_tokens
                figures["validation_tokens"] += n_tokens if split == "validation" else 0
    return DataReport.of({**report, "sources": sources}) or DataReport()


def shards_key(survey: Survey, tokenizer: Tokenizer, shard_bytes: int = 0) -> str:
    """What the bytes of the shards depend on."""
    shard_bytes = shard_bytes or fitting_shard_bytes(sum(map(survey.split_bytes, SPLITS)))
    content = (
        f"{FORMAT} {survey.key} {tokenizer.fingerprint} {tokenizer.vocab_size} {tokenizer.end_of_text} {shard_bytes}"
    )
    return hashlib.sha256(content.encode()).hexdigest()
