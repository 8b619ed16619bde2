import subprocess
import sys

import pytest

MEASURE = """
import resource, sys
from pathlib import Path
import numpy as np
from chainrule.config import TextConfig
from chainrule.data import survey, units, write_shards
from chainrule.tokenizer.train import byte_tokenizer

# Memory grows up to some units; both texts have more of these.
units.UNIT_BYTES = 1 << 20
folder, separator, tokenizer = Path(sys.argv[1]), sys.argv[2] or None, byte_tokenizer()
syllables = np.array([a + b for a in "bdfgklmnprst" for b in "aeiou"])
words = np.array([a + b + " " for a in syllables for b in syllables])


def grow(path, n_blocks):
    chooser = np.random.default_rng(0)
    with path.open("w") as stream:
        for _ in range(n_blocks):
            lines = chooser.choice(words, (10_000, 10))
            stream.write("\\n".join(map("".join, lines)) + "\\n==\\n")


for n_blocks in (8, 28):
    texts = folder / f"{n_blocks}.txt"
    grow(texts, n_blocks)
    found = survey(TextConfig(paths=(str(texts),), separator=separator), folder / str(n_blocks), workers=1)
    write_shards(found, tokenizer, folder / str(n_blocks), context_length=16, workers=1, shard_bytes=1 << 20)
    peak_bytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    print(texts.stat().st_size, peak_bytes, found.report["documents"])
"""


@pytest.mark.parametrize("separator", ["", "=="])
def test_a_single_file_three_times_as_large_takes_no_more_memory(tmp_path, separator):
    command = [sys.executable, "-c", MEASURE, str(tmp_path), separator]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    (small, before, _), (large, after, n_documents) = (map(int, line.split()) for line in done.stdout.splitlines())
    assert large - small > 8 << 20
    assert after - before < 8 << 20
    assert n_documents == (28 if separator else 1)
