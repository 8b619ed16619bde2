"""Whole runs on two processes by the command: a rank that is killed costs no bit, one that is asked to end ends all."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from several import own_environment

from chainrule.config import Layer, load_toml, resolve, to_toml
from chainrule.run import RunFolder, TrainRow, read_summary, rows_of, steps_of

# Two processes load torch twice in the second test, and beside other tests that takes minutes.
pytestmark = [pytest.mark.xdist_group("ranks"), pytest.mark.timeout(600)]
STEPS, SAVE_EVERY = 24, 4
LONGER = {"steps": STEPS, "save_every": SAVE_EVERY, "eval_every": 12, "sample_every": STEPS, "sample_tokens": 1}


@pytest.fixture(scope="module")
def begin(run, texts, tmp_path_factory) -> Callable[..., tuple[RunFolder, subprocess.Popen]]:
    """Starts a run of that name on two processes."""
    place = tmp_path_factory.mktemp("two")
    given = resolve([load_toml(run.config), Layer("longer", {"training": LONGER})])
    (place / "settings.toml").write_text(to_toml(given.config, given.sources))

    def started(name: str, *words: str) -> tuple[RunFolder, subprocess.Popen]:
        given = words or (str(texts), "--config", str(place / "settings.toml"), "--name", name, "--launch", "local:2")
        command = [sys.executable, "-m", "chainrule", "pretrain", *given, "--runs-folder", str(place)]
        process = subprocess.Popen(
            command, env=own_environment(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        return RunFolder(place / name), process

    return started


@pytest.fixture(scope="module")
def whole(begin) -> dict[int, float]:
    """The losses of a run that nobody touches."""
    run, process = begin("whole")
    ended(process)
    return losses(run)


def ended(process: subprocess.Popen, code: int = 0) -> str:
    said = process.communicate(timeout=200)[0]
    assert process.returncode == code, said
    return said


def losses(run: RunFolder) -> dict[int, float]:
    return {row.step: row.loss for row in rows_of(run.metrics, TrainRow)} if run.metrics.is_file() else {}


def ranks(launcher: int) -> list[int]:
    """The processes of the ranks, in their order; the launcher has helpers of multiprocessing besides."""
    children = Path(f"/proc/{launcher}/task/{launcher}/children").read_text().split()
    return [int(one) for one in children if b"spawn_main" in Path(f"/proc/{one}/cmdline").read_bytes()]


def when(step: int, run: RunFolder, process: subprocess.Popen) -> None:
    end = time.monotonic() + 150
    while max(losses(run), default=0) < step:
        assert process.poll() is None, process.communicate()[0]
        assert time.monotonic() < end
        time.sleep(0.01)


@pytest.mark.skipif(sys.platform != "linux", reason="the ranks are found in /proc")
def test_a_killed_rank_is_back_and_the_run_comes_to_the_same_bits(begin, whole):
    run, process = begin("killed")
    when(SAVE_EVERY + 2, run, process)
    os.kill(ranks(process.pid)[1], signal.SIGKILL)
    said = ended(process)
    assert "a rank was lost" in said
    assert losses(run)[STEPS] == whole[STEPS]
    assert read_summary(run).status == "finished"


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="the ranks are found in /proc")
def test_a_signal_to_one_rank_ends_all_after_a_step_with_a_checkpoint_that_one_process_goes_on_with(begin, whole):
    run, process = begin("ended")
    when(SAVE_EVERY + 2, run, process)
    os.kill(ranks(process.pid)[1], signal.SIGTERM)
    said = ended(process, 128 + signal.SIGTERM)
    step = read_summary(run).step
    assert "to go on" in said
    assert steps_of(run.checkpoints)[-1] == step < STEPS
    _, process = begin("ended", "--resume", str(run.path))
    assert "layout was fsdp=2, is one process" in ended(process)
    assert losses(run)[STEPS] == pytest.approx(whole[STEPS], rel=0, abs=2e-6)


def test_what_cannot_lie_on_the_processes_is_refused_before_any_is_started(begin, run, texts):
    words = (str(texts), "--config", str(run.config), "--name", "none", "--launch", "local:2")
    none, process = begin("none", *words, "--machine.parallel", "tp=3")
    said = ended(process, 2)
    assert "multiply to 2" in said and "rank" not in said.partition("multiply to 2")[0]
    assert not none.path.exists()
