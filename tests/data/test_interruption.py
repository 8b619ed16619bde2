import gzip
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import zstandard

from chainrule.data import open_dataset

SCRIPT = Path(__file__).parent / "killed_preparation.py"

PREPARE = """
import sys
from pathlib import Path
from chainrule.config import TextConfig
from chainrule.data import survey, write_shards
from chainrule.tokenizer.train import byte_tokenizer
if __name__ == "__main__":
    texts, data, workers = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])
    tell = lambda phase, done, total: print(phase, done, flush=True)
    found = survey(TextConfig(paths=(texts,)), data, workers=workers, on_progress=tell)
    write_shards(
        found, byte_tokenizer(), data, context_length=16, workers=workers, shard_bytes=100_000, on_progress=tell
    )
"""


def shards(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


@pytest.mark.parametrize("n_instants", [10, pytest.param(400, marks=pytest.mark.slow)])
def test_a_preparation_killed_at_any_instant_ends_with_equal_bytes(workshop, make_prose, tmp_path, n_instants):
    for index in range(12):
        parts = [make_prose(1000 * index + part, 90) for part in range(5 + 3 * (index % 3))]
        workshop.write(f"{index:02d}.txt", "==\n".join(parts))
    folded = "==\n".join(make_prose(20_000 + part, 90) for part in range(30))
    workshop.write("parted.txt.gz", gzip.compress(folded.encode()))
    rows = "".join(json.dumps({"text": make_prose(30_000 + row, 90)}) + "\n" for row in range(20))
    workshop.write("rows.jsonl.zst", zstandard.compress(rows.encode()))
    done = subprocess.run(
        [sys.executable, str(SCRIPT), str(workshop.texts), str(tmp_path), str(n_instants)],
        capture_output=True,
        text=True,
        env={**os.environ, "TOKENIZERS_PARALLELISM": "false"},
    )
    n_events, *results = done.stdout.splitlines()
    assert done.returncode == 0, done.stderr
    assert int(n_events) > 100
    assert results == ["equal"] * n_instants


@pytest.mark.parametrize(("how", "workers"), [(signal.SIGKILL, 1), (signal.SIGINT, 2)])
def test_a_preparation_stopped_from_outside_goes_on(workshop, tmp_path, workers, how):
    workshop.fill(60, 1500)
    script = tmp_path / "prepare.py"
    script.write_text(PREPARE)
    command = [sys.executable, str(script), str(workshop.texts), str(workshop.data), str(workers)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        for line in process.stdout:
            if line.startswith("tokens"):
                process.send_signal(how)
                break
        assert process.wait(20) != 0
    assert not (workshop.data / "manifest.json").exists()
    workshop.prepare(shard_bytes=100_000)
    interrupted, workshop.data = workshop.data, tmp_path / "straight"
    workshop.prepare(shard_bytes=100_000)
    assert shards(interrupted) == shards(workshop.data)
    assert open_dataset(interrupted).split("train").n_tokens
