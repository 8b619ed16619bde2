"""Real signals to real processes, by progress and not by the clock."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from chainrule.base import RunError
from chainrule.checkpoint import newest_checkpoint
from chainrule.run import read_rows
from chainrule.train import pretrain

CHILD = Path(__file__).with_name("child.py")


def start(folder: Path, texts: Path, *words: str) -> subprocess.Popen[str]:
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        [sys.executable, str(CHILD), str(folder), str(texts), *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
    )


def wait_for_step(child: subprocess.Popen[str], step: int) -> None:
    assert child.stdout is not None
    for line in child.stdout:
        if line.startswith("step ") and int(line.split()[1]) >= step:
            return
    pytest.fail(f"the child ended before step {step}: {child.stderr.read() if child.stderr else ''}")


def result(child: subprocess.Popen[str]) -> dict:
    out, err = child.communicate(timeout=60)
    assert child.returncode == 0, err
    return json.loads(out.splitlines()[-1])


# In processes of their own, four a signal; test_stop.py tries the others in this process.
@pytest.mark.parametrize("number", [signal.SIGINT, pytest.param(signal.SIGTERM, marks=pytest.mark.slow)])
def test_a_signal_saves_within_a_step_and_the_rest_is_as_if_nothing_had_happened(tmp_path, texts, number):
    child = start(tmp_path / "run", texts)
    wait_for_step(child, 5)
    child.send_signal(number)
    summary = result(child)
    assert (summary["status"], summary["signal"]) == ("interrupted", number)
    found = newest_checkpoint(tmp_path / "run" / "checkpoints", on_reject=lambda path, reason: pytest.fail(reason))
    assert found is not None
    assert found.step == summary["step"] >= 5
    assert result(start(tmp_path / "run", texts, "resume"))["status"] == "finished"
    assert result(start(tmp_path / "straight", texts))["status"] == "finished"
    runs = [list(read_rows(tmp_path / name / "metrics.jsonl")) for name in ("run", "straight")]
    interrupted, straight = ([(r["step"], r["loss"]) for r in rows if r["kind"] == "train"] for rows in runs)
    assert interrupted == straight


def test_a_run_killed_without_warning_loses_no_saved_step(tmp_path, texts):
    child = start(tmp_path / "run", texts)
    wait_for_step(child, 9)
    child.kill()
    child.communicate()
    found = newest_checkpoint(tmp_path / "run" / "checkpoints", on_reject=lambda path, reason: None)
    assert found is not None
    assert found.step >= 8
    assert result(start(tmp_path / "run", texts, "resume"))["status"] == "finished"


def test_a_folder_has_one_writer(tmp_path, texts):
    child = start(tmp_path / "run", texts, "slow")
    wait_for_step(child, 2)
    try:
        with pytest.raises(RunError, match=f"in use by process {child.pid}"):
            pretrain([], tmp_path / "run", resume=True)
    finally:
        child.kill()
        child.communicate()
