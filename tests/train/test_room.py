"""A disk without room: said before anything slow, and waited for when it fills in the middle."""

import errno
import shutil
import signal
import subprocess
import sys
from collections import namedtuple
from pathlib import Path

import pytest
from heard import by_word
from small_disk import SmallDisk

from chainrule.base import FLOOR_BYTES, DiskError
from chainrule.checkpoint import newest_checkpoint
from chainrule.config import resolve
from chainrule.plan import checkpoint_bytes
from chainrule.run import RunFolder, read_rows
from chainrule.train import pretrain, room, silent
from chainrule.train.pace import Clock
from chainrule.train.stop import Stop

SHORT = {"steps": 8, "save_every": 4, "eval_every": 4, "sample_every": 8}
Usage = namedtuple("Usage", "total used free")


class Told:
    """A disk of which the system says how much is free."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder, self.free = folder, 1 << 30
        monkeypatch.setattr(shutil, "disk_usage", lambda path: Usage(1 << 31, 0, self.free))

    def leave(self, n_bytes: int) -> None:
        self.free = n_bytes

    def close(self) -> None:
        pass


@pytest.fixture(params=["told", "real"])
def disk(request, tmp_path, monkeypatch):
    made = Told(tmp_path, monkeypatch) if request.param == "told" else SmallDisk(tmp_path / "disk", 16 << 20)
    yield made
    made.close()


def bits(run: Path) -> dict[str, bytes]:
    found = newest_checkpoint(run / "checkpoints", on_reject=lambda path, reason: pytest.fail(reason))
    tensors = {**found.tensors("model"), **found.tensors("optimizer")}
    return {name: tensor.numpy().tobytes() for name, tensor in tensors.items()}


def losses(run: Path) -> list:
    rows = read_rows(run / "metrics.jsonl")
    return [(row["kind"], row["step"], row.get("loss"), row.get("val_loss")) for row in rows]


@pytest.fixture
def straight(layers, tmp_path):
    pretrain(layers(training=SHORT), tmp_path / "straight")
    return tmp_path / "straight"


@pytest.fixture
def quick(monkeypatch):
    monkeypatch.setattr(room, "ASK_SECONDS", 0.01)


def test_a_start_without_room_is_refused_before_the_text_is_read(layers, disk):
    disk.leave(3 << 20)
    heard = []
    big = layers(model={"emb_dim": 128}, training={**SHORT, "steps": 1000, "keep_last": 3})
    with pytest.raises(DiskError) as caught:
        pretrain(big, disk.folder / "run", watch=by_word(lambda kind, row: heard.append(kind)))
    assert heard == ["machine"]
    told = str(caught.value)
    assert "3.0 MiB free" in told and "5 of " in told and "training.keep_last = 3" in told
    assert "--runs-folder" in told and "Free some" in told
    assert not (disk.folder / "run").exists()


def test_a_learnt_vocabulary_is_counted_when_it_is_there(layers, disk):
    learnt = layers(vocabulary={"kind": "bpe"}, model={"vocab_size": 600}, training={**SHORT, "steps": 1})
    config = resolve(learnt).config
    without = config.model_copy(update={"model": config.model.model_copy(update={"vocab_size": 1})})
    disk.leave(FLOOR_BYTES + (checkpoint_bytes(config) + checkpoint_bytes(without)) // 2)
    heard = []
    with pytest.raises(DiskError, match="are needed for its checkpoints: 1 of"):
        pretrain(learnt, disk.folder / "run", watch=by_word(lambda kind, row: heard.append(row.get("phase", kind))))
    assert "tokenizer" in heard and "tokens" not in heard


def test_a_resume_without_room_for_the_next_checkpoint_is_refused(layers, disk):
    def stop(kind, row):
        if kind == "saved" and row["step"] == 4:
            signal.raise_signal(signal.SIGTERM)

    run = disk.folder / "run"
    pretrain(layers(training=SHORT), run, watch=by_word(stop))
    disk.leave(1 << 20)
    with pytest.raises(DiskError, match=r"1 more of .* move the run's folder to another disk"):
        pretrain([], run, resume=True)
    disk.leave(8 << 20)
    assert pretrain([], run, resume=True).status == "finished"


def test_a_disk_that_fills_is_waited_for_and_the_run_comes_to_the_same_bits(layers, disk, straight, quick):
    said = []

    def watch(kind, row):
        if kind == "train" and row["step"] == 6:
            disk.leave(0)
        if kind == "notice":
            said.append(row["message"])
            if "The run waits" in row["message"]:
                disk.leave(8 << 20)

    run = disk.folder / "run"
    assert pretrain(layers(training=SHORT), run, watch=by_word(watch)).status == "finished"
    waited = [message for message in said if "The run waits for it" in message]
    assert len(waited) == 1 and "make room on the disk of" in waited[0] and "are needed for saving to" in waited[0]
    assert any("the disk takes it now" in message for message in said)
    assert bits(run) == bits(straight) and losses(run) == losses(straight)


def test_what_is_waited_is_no_time_of_the_run(tmp_path, quick):
    clock, tries = Clock(), []

    def write():
        tries.append(clock.spent())
        if len(tries) < 4:
            raise DiskError("full") from OSError(errno.ENOSPC, "full")

    room.patiently(write, run=RunFolder(tmp_path), stop=Stop(), watch=silent, clock=clock)
    assert len(tries) == 4
    # It went on while it was waited, and stands again where the waiting began.
    assert tries[3] > tries[1] > tries[0]
    assert clock.spent() < tries[1]


@pytest.mark.parametrize("by", ["setting", "signal", "end"])
def test_a_disk_that_stays_full_ends_the_run_with_the_way_on(layers, disk, straight, quick, monkeypatch, by):
    monkeypatch.setattr(room, "ENDING_SECONDS", 0.05)
    said = []

    def watch(kind, row):
        if kind == "train" and row["step"] == 6:
            disk.leave(0)
        if kind == "train" and row["step"] == 3 and by == "end":
            disk.leave(0)
            signal.raise_signal(signal.SIGTERM)
        if kind == "notice" and "The run waits" in row["message"]:
            said.append(row["message"])
            if by == "signal":
                signal.raise_signal(signal.SIGINT)

    run, kept = disk.folder / "run", {"training": {"on_full": "stop"}} if by == "setting" else {}
    place = "begins again at the first step" if by == "end" else "goes on from step 4"
    with pytest.raises(DiskError, match=rf"the disk of .* has .* free.*`chainrule pretrain --resume {run}` {place}"):
        pretrain(layers(training=SHORT | kept.get("training", {})), run, watch=by_word(watch))
    assert len(said) == (by != "setting")
    disk.leave(8 << 20)
    assert pretrain([], run, resume=True).status == "finished"
    assert bits(run) == bits(straight) and losses(run) == losses(straight)


LIMITED = """
import resource, sys
from chainrule.cli import main
name, value = sys.argv[1], int(sys.argv[2])
resource.setrlimit(getattr(resource, name), (value, value))
sys.exit(main(sys.argv[3:]))
"""


@pytest.mark.skipif(sys.platform == "win32", reason="no such limits")
@pytest.mark.parametrize("on_full", ["wait", "stop"])
def test_a_file_that_may_not_grow_is_no_full_disk_and_is_not_waited_for(tmp_path, on_full):
    text = tmp_path / "t.txt"
    text.write_text("the fox said that we were going home before the storm\n" * 400)
    words = ["pretrain", str(text), "--name", str(tmp_path / "run"), "--model.emb-dim", "64", "--model.n-layers", "1"]
    words += ["--training.steps", "2", "--machine.threads", "1", "--training.on-full", on_full]
    done = subprocess.run(
        [sys.executable, "-c", LIMITED, "RLIMIT_FSIZE", "60000", *words],
        **{"capture_output": True, "text": True, "timeout": 120, "cwd": tmp_path},
    )
    assert done.returncode == 2 and "Traceback" not in done.stderr
    assert "ulimit -f" in done.stderr or "larger than allowed" in done.stderr
    assert "The run waits" not in done.stderr and "disk is full" not in done.stderr
