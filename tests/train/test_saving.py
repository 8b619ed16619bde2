"""Checkpoints that are written while training goes on: the same bits, one at a time, and told when they fail."""

import errno
import json
import os
import signal
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from heard import by_word

from chainrule.base import DeviceError, DiskError
from chainrule.checkpoint import save_checkpoint
from chainrule.config import MachineConfig, resolve
from chainrule.device import look_at_machine
from chainrule.plan import copy_bytes, memory_bytes
from chainrule.run import read_rows, steps_of
from chainrule.train import pretrain, room, saving

ALL = {"keep_last": 9}
BESIDE = {"background_saves": "on", **ALL}


def files(run: Path, *steps: int) -> dict[str, bytes]:
    """The tensors of the checkpoints, byte for byte, and their numbers without the times."""
    found = {}
    for step in steps or steps_of(run / "checkpoints"):
        folder = run / "checkpoints" / f"step-{step:08d}"
        found |= {f"{step}/{path.name}": path.read_bytes() for path in sorted(folder.glob("*.safetensors"))}
        progress = json.loads((folder / "state.json").read_text())["progress"]
        times = ("seconds", "spent", "stretches")
        found[f"{step}/progress"] = repr({key: value for key, value in progress.items() if key not in times}).encode()
    return found


def losses(run: Path) -> list:
    return [
        (row["kind"], row["step"], row.get("loss"), row.get("val_loss")) for row in read_rows(run / "metrics.jsonl")
    ]


def said(run: Path) -> str:
    return "\n".join(row["message"] for row in read_rows(run / "events.jsonl"))


@pytest.fixture(scope="module")
def straight(layers, tmp_path_factory) -> Path:
    run = tmp_path_factory.mktemp("foreground") / "run"
    pretrain(layers(training={**ALL, "background_saves": "off"}), run)
    return run


class Held:
    """Stands before the thread's writes: each waits until `let` is called, and is counted."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.opened, self.begun, self.now, self.most = threading.Semaphore(0), threading.Event(), 0, 0
        self.beside: list[int] = []
        monkeypatch.setattr(saving, "save_checkpoint", self.write)

    def write(self, parent, step, *rest):
        if threading.current_thread() is not threading.main_thread():
            self.now += 1
            self.most = max(self.most, self.now)
            self.beside.append(step)
            self.begun.set()
            assert self.opened.acquire(timeout=60)
            self.now -= 1
        return save_checkpoint(parent, step, *rest)

    def let(self) -> None:
        self.opened.release()


def test_what_is_written_while_training_goes_on_is_the_state_between_the_two_steps(
    layers, straight, tmp_path, monkeypatch
):
    held, there, saved = Held(monkeypatch), [], []

    def watch(kind, row):
        if kind == "saved":
            saved.append(row["step"])
        if kind == "train" and row["step"] in (6, 10):
            # Two updates have moved the weights since, and nothing of the save is there.
            assert held.begun.wait(60)
            there.append(steps_of(run / "checkpoints"))
            held.begun.clear()
            held.let()

    run = tmp_path / "run"
    pretrain(layers(training=BESIDE), run, watch=by_word(watch))
    assert (held.beside, there, held.most) == ([4, 8], [[], [4]], 1)
    assert saved == [4, 8, 12]
    assert files(run) == files(straight) and losses(run) == losses(straight)


def test_the_next_save_waits_for_the_one_before(layers, straight, tmp_path, monkeypatch):
    held = Held(monkeypatch)

    def watch(kind, row):
        if kind == "train" and row["step"] == 8:  # the last word before the look that saves again
            assert held.beside == [4]
            threading.Timer(0.1, lambda: (held.let(), held.let())).start()

    run = tmp_path / "run"
    pretrain(layers(training=BESIDE), run, watch=by_word(watch))
    assert (held.beside, held.most) == ([4, 8], 1)
    assert files(run) == files(straight)


@pytest.mark.parametrize("step", [5, 8])
def test_a_signal_waits_for_the_save_that_is_on_its_way(layers, straight, tmp_path, monkeypatch, step):
    held = Held(monkeypatch)

    def watch(kind, row):
        if kind == "train" and row["step"] == 5:
            held.let()
        if kind == "train" and row["step"] == step:
            signal.raise_signal(signal.SIGTERM)
            threading.Timer(0.1, held.let).start()

    run = tmp_path / "run"
    summary = pretrain(layers(training=BESIDE), run, watch=by_word(watch))
    assert (summary.status, summary.step) == ("interrupted", step)
    assert steps_of(run / "checkpoints") == sorted({4, step})
    monkeypatch.undo()
    assert pretrain([], run, resume=True).status == "finished"
    assert files(run, 12) == files(straight, 12) and losses(run) == losses(straight)


def test_a_run_that_dies_by_itself_leaves_the_save_that_was_on_its_way_whole(layers, straight, tmp_path, monkeypatch):
    held = Held(monkeypatch)

    def watch(kind, row):
        if kind == "train" and row["step"] == 6:
            threading.Timer(0.1, held.let).start()
            raise ZeroDivisionError

    run = tmp_path / "run"
    with pytest.raises(ZeroDivisionError):
        pretrain(layers(training=BESIDE), run, watch=by_word(watch))
    assert files(run) == files(straight, 4)
    assert not [thread.name for thread in threading.enumerate() if thread.name.startswith("save")]


def refusing(monkeypatch, times: float) -> list[str]:
    """A disk that is full for the first `times` saves; the names of the threads that met it."""
    met: list[str] = []

    def write(parent, step, *rest):
        if len(met) < times:
            met.append(threading.current_thread().name)
            raise DiskError("the disk is full.") from OSError(errno.ENOSPC, "")
        return save_checkpoint(parent, step, *rest)

    monkeypatch.setattr(saving, "save_checkpoint", write)
    monkeypatch.setattr(room, "ASK_SECONDS", 0.01)
    return met


def test_a_save_that_failed_is_told_at_the_next_step_and_tried_again_from_the_same_copy(
    layers, straight, tmp_path, monkeypatch
):
    met = refusing(monkeypatch, 2)
    run = tmp_path / "run"
    assert pretrain(layers(training=BESIDE), run).status == "finished"
    assert met[0].startswith("save") and met[1] == "MainThread"
    assert "step 4 could not be saved while training went on: the disk is full." in said(run)
    assert files(run) == files(straight)


def test_a_disk_that_stays_full_ends_the_run_as_it_does_in_the_foreground(layers, straight, tmp_path, monkeypatch):
    refusing(monkeypatch, float("inf"))
    run = tmp_path / "run"
    with pytest.raises(DiskError, match=r"disk is full.*`chainrule pretrain --resume .*` begins again at the first"):
        pretrain(layers(training={**BESIDE, "on_full": "stop"}), run)
    monkeypatch.undo()
    assert pretrain([], run, resume=True).status == "finished"
    assert files(run, 12) == files(straight, 12)


def test_a_kill_in_the_middle_of_a_save_leaves_the_one_before(texts, straight, tmp_path):
    child, run = Path(__file__).with_name("child.py"), tmp_path / "run"
    command = [sys.executable, str(child), str(run), str(texts), "background", "dies"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    died = subprocess.run(command, capture_output=True, text=True, timeout=60, env=environment)
    assert died.returncode == -signal.SIGKILL and "dies in save" in died.stdout, died.stderr
    assert steps_of(run / "checkpoints") == [4] and len(list((run / "checkpoints").glob(".new-*"))) == 1
    assert pretrain([], run, resume=True).status == "finished"
    assert files(run, 12) == files(straight, 12) and losses(run) == losses(straight)
    assert not list((run / "checkpoints").glob(".new-*"))


def test_the_copy_is_taken_where_the_memory_holds_it_and_refused_or_said_where_not(layers):
    facts = look_at_machine(MachineConfig(device="cpu", precision="float32", threads=1))
    shape = {"emb_dim": 512, "n_heads": 8, "n_layers": 6, "vocab_size": 5000, "context_length": 64}

    def chosen(word: str, left: int, **over: int):
        config = resolve(layers(model={**shape, **over}, training={"background_saves": word})).config
        alone = resolve(layers(model={**shape, **over}, training={"background_saves": "off"})).config
        given = replace(facts, memory_bytes=memory_bytes(alone, micro_batch=4).total + left)
        return saving.background_for(config, given, micro_batch=4), copy_bytes(config)

    (_, _), size = chosen("off", 0)
    assert size > saving.WORTH_BYTES
    assert chosen("auto", size)[0][0] is not None and chosen("off", size)[0] == (None, None)
    none, sentence = chosen("auto", size - 1)[0]
    assert none is None and sentence.startswith("training waits for its saves: a copy of the state takes ")
    assert chosen("auto", size, emb_dim=16)[0] == (None, None), "a small model is not worth it"
    with pytest.raises(DeviceError, match="background_saves = on: a copy of the state"):
        chosen("on", size - 1)
    on, off = (
        memory_bytes(resolve(layers(model=shape, training={"background_saves": w})).config) for w in ("on", "off")
    )
    assert on.total - off.total == on.copy == size


def test_the_copy_is_another_memory_and_the_same_from_save_to_save():
    copy, tensors = saving.HostCopy(), {"model": {"w": torch.ones(3), "n": torch.tensor(2)}}
    first = copy.of(tensors)["model"]["w"]
    tensors["model"]["w"] += 1
    assert first.tolist() == [1, 1, 1]
    assert copy.of(tensors)["model"]["w"] is first and first.tolist() == [2, 2, 2]
