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
from chainrule.data import list_files, open_dataset, survey, write_shards
from chainrule.tokenizer import train_bpe


def prepare(folder: Path, workers: int, vocab_size: int) -> dict[str, Any]:
    """Listing, survey, the tokenizer's sample, the tokenizer, shards, and opening them with all checks."""
    seconds: dict[str, tuple[float, float]] = {}
    config = TextConfig(paths=(str(folder / "text"),))
    with timed(seconds, "listing"):
        listing = list_files(config.paths, config.on_bad, config)
    with timed(seconds, "survey"):
        found = survey(config, folder / "data", workers=workers, listing=listing)
    with timed(seconds, "sample"):
        sample = list(found.sample("train"))
    with timed(seconds, "tokenizer"):
        tokenizer = train_bpe(sample, vocab_size)
    del sample
    with timed(seconds, "shards"):
        manifest = write_shards(found, tokenizer, folder / "data", context_length=256, workers=workers)
    with timed(seconds, "open"):
        open_dataset(folder / "data")
    with timed(seconds, "verify"):
        open_dataset(folder / "data", verify=True)
    report = {key: value for key, value in manifest.report.row().items() if key != "sources"}
    return {"seconds": seconds, "report": report, "shards": len(manifest.shards)}


@contextmanager
def timed(seconds: dict[str, tuple[float, float]], phase: str) -> Iterator[None]:
    """Notes the wall seconds and the CPU seconds of all processes."""
    start, busy = time.perf_counter(), sum(os.times()[:4])
    yield
    seconds[phase] = time.perf_counter() - start, sum(os.times()[:4]) - busy


if __name__ == "__main__":
    print(json.dumps(prepare(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))))
