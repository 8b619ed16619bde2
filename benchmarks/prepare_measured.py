"""The part of prepare.py that is measured, in a process of its own: folder, workers, vocabulary size.

Prints wall and CPU seconds of each phase and the data report as JSON.
"""

import json
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from chainrule.config import TextConfig
from chainrule.data import open_dataset, survey, write_shards
from chainrule.tokenizer import train_bpe

TOKENIZER_CHARACTERS = 32 << 20


def prepare(folder: Path, workers: int, vocab_size: int) -> dict[str, Any]:
    """Survey, tokenizer, shards, and opening them with all checks."""
    seconds: dict[str, tuple[float, float]] = {}
    with timed(seconds, "survey"):
        found = survey(TextConfig(paths=(str(folder / "text"),)), folder / "data", workers=workers)
    with timed(seconds, "tokenizer"):
        tokenizer = train_bpe(head(found.texts("train"), TOKENIZER_CHARACTERS), vocab_size)
    with timed(seconds, "shards"):
        manifest = write_shards(found, tokenizer, folder / "data", context_length=256, workers=workers)
    with timed(seconds, "open"):
        open_dataset(folder / "data")
    with timed(seconds, "verify"):
        open_dataset(folder / "data", verify=True)
    report = {key: value for key, value in manifest.report.items() if key != "sources"}
    return {"seconds": seconds, "report": report, "shards": len(manifest.shards)}


@contextmanager
def timed(seconds: dict[str, tuple[float, float]], phase: str) -> Iterator[None]:
    """Notes the wall seconds and the CPU seconds of all processes."""
    start, busy = time.perf_counter(), sum(os.times()[:4])
    yield
    seconds[phase] = time.perf_counter() - start, sum(os.times()[:4]) - busy


def head(texts: Iterator[str], n_characters: int) -> Iterator[str]:
    """The first texts, of about so many characters."""
    for text in texts:
        yield text
        n_characters -= len(text)
        if n_characters <= 0:
            return


if __name__ == "__main__":
    print(json.dumps(prepare(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))))
