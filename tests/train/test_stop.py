"""A signal at any instant: what is saved is whole, and what goes on is as if nothing had happened."""

import hashlib
import json
import random
import signal
import sys
import threading
from pathlib import Path

import pytest
from heard import by_word

from chainrule.base import Interrupted
from chainrule.checkpoint import newest_checkpoint
from chainrule.model import GPT
from chainrule.run import read_rows
from chainrule.train import pretrain
from chainrule.train.stop import ENDING, Stop

STEPS = {"training": {"steps": 8, "save_every": 4, "eval_every": 4, "sample_every": 8, "health_every": 2}}
OTHERS = [number for number in ENDING if number != signal.SIGINT]


def files_of(folder: Path) -> dict[str, str]:
    """Each file below, with its hash."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def outcome(run: Path) -> tuple[dict, list, list]:
    """Weights, optimizer, losses and norms of a run that is over."""
    found = newest_checkpoint(run / "checkpoints", on_reject=lambda path, reason: pytest.fail(reason))
    tensors = {**found.tensors("model"), **found.tensors("optimizer")}
    bits = {name: tensor.numpy().tobytes() for name, tensor in tensors.items()}
    metrics = [
        (row["kind"], row["step"], row.get("loss"), row.get("val_loss")) for row in read_rows(run / "metrics.jsonl")
    ]
    return bits, metrics, list(read_rows(run / "health.jsonl"))


class TwiceAt:
    """A watcher: after `step`, a first Ctrl-C, and a second at the `line`-th line of chainrule that runs then.

    With line 0 the lines of that step are counted instead, until the next row of training figures.
    """

    def __init__(self, step: int, line: int) -> None:
        self.step, self.line, self.n_lines = step, line, 0

    def __call__(self, kind, row):
        if kind == "train" and row["step"] == self.step:
            sys.settrace(self.called)
        elif kind == "train" and row["step"] == self.step + 1:
            sys.settrace(None)

    def called(self, frame, event, argument):
        return self.ran if frame.f_globals.get("__name__", "").startswith("chainrule.") else None

    def ran(self, frame, event, argument):
        if event == "line" and frame.f_code.co_name not in ("_receive", "obey"):
            self.n_lines += 1
            if self.n_lines == self.line:
                sys.settrace(None)
                signal.raise_signal(signal.SIGINT)
                signal.raise_signal(signal.SIGINT)
        return self.ran


def test_a_second_ctrl_c_anywhere_in_a_step_leaves_the_last_checkpoint_as_it_was(layers, tmp_path):
    pretrain(layers(**STEPS), tmp_path / "straight", watch=by_word(counting := TwiceAt(5, 0)))
    sys.settrace(None)
    assert counting.n_lines > 100
    run = tmp_path / "run"
    points = sorted(random.Random(0).sample(range(1, counting.n_lines), 8))
    for n_tried, line in enumerate(points):
        summary = pretrain(
            layers(**STEPS) if not n_tried else [], run, resume=bool(n_tried), watch=by_word(TwiceAt(5, line))
        )
        assert (summary.status, summary.signal) == ("interrupted", signal.SIGINT)
        saved = files_of(run / "checkpoints")
        if not n_tried:
            first = saved
        assert saved == first and any("step-00000004" in name for name in saved)
    assert pretrain([], run, resume=True).status == "finished"
    assert outcome(run) == outcome(tmp_path / "straight")


@pytest.mark.parametrize("number", OTHERS, ids=lambda number: number.name)
def test_every_other_signal_that_ends_a_run_saves_it_first_however_often_it_comes(layers, tmp_path, number):
    def twice(kind, row):
        if kind == "train" and row["step"] == 3:
            signal.raise_signal(number)
            signal.raise_signal(number)

    before = signal.getsignal(number)
    summary = pretrain(layers(**STEPS), tmp_path / "run", watch=by_word(twice))
    assert (summary.status, summary.signal, summary.step) == ("interrupted", number, 3)
    assert newest_checkpoint(tmp_path / "run" / "checkpoints", on_reject=lambda *_: None).step == 3
    assert signal.getsignal(number) is before


def test_a_signal_during_a_look_saves_and_the_look_is_made_again(layers, tmp_path):
    pretrain(layers(**STEPS), tmp_path / "straight")
    run = tmp_path / "run"
    for kind, step in (("eval", 0), ("sample", 0), ("eval", 4), ("saved", 4), ("eval", 8), ("sample", 8)):

        def once(heard, row, kind=kind, step=step):
            if (heard, row.get("step")) == (kind, step):
                signal.raise_signal(signal.SIGTERM)

        summary = pretrain([] if run.exists() else layers(**STEPS), run, resume=run.exists(), watch=by_word(once))
        assert (summary.status, summary.step) == ("interrupted", step)
    assert pretrain([], run, resume=True).status == "finished"
    assert outcome(run) == outcome(tmp_path / "straight")


def test_nothing_interrupts_a_save_or_the_last_words(layers, tmp_path):
    def again_and_again(kind, row):
        if kind == "saved" or (kind == "train" and row["step"] == 3):
            signal.raise_signal(signal.SIGINT)
            if kind == "saved":
                signal.raise_signal(signal.SIGINT)

    summary = pretrain(layers(**STEPS), tmp_path / "run", watch=by_word(again_and_again))
    assert (summary.status, summary.step) == ("interrupted", 3)
    assert json.loads((tmp_path / "run" / "summary.json").read_text())["step"] == 3


def test_a_signal_after_the_end_leaves_the_finished_run_as_it_is(layers, tmp_path):
    def at_the_end(kind, row):
        if kind == "finished":
            signal.raise_signal(signal.SIGTERM)

    with pytest.raises(Interrupted):
        pretrain(layers(training={"steps": 2}), tmp_path / "run", watch=by_word(at_the_end))
    assert json.loads((tmp_path / "run" / "summary.json").read_text())["status"] == "finished"


@pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="there are no hang-ups here")
def test_what_is_ignored_when_the_run_begins_stays_ignored():
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with Stop() as stop:
            signal.raise_signal(signal.SIGHUP)
            assert stop.requested == 0
    finally:
        signal.signal(signal.SIGHUP, before)


def test_outside_the_main_thread_there_is_nothing_to_listen_to():
    seen = []

    def enter() -> None:
        with Stop() as stop:
            seen.append(stop.requested)

    thread = threading.Thread(target=enter)
    thread.start()
    thread.join()
    assert seen == [0]


def test_a_held_out_loss_that_is_no_number_is_saved_as_none_and_never_best(layers, tmp_path, monkeypatch):
    poisoned, logits = [], GPT.logits
    monkeypatch.setattr(GPT, "logits", lambda self, x: logits(self, x) * (float("nan") if poisoned else 1.0))

    def watch(kind, row):
        if kind == "train" and row["step"] == 4:
            poisoned.append(4)
        elif kind == "eval":
            poisoned.clear()

    summary = pretrain(layers(**STEPS), tmp_path / "run", watch=by_word(watch))
    rows = read_rows(tmp_path / "run" / "metrics.jsonl")
    looks = {row["step"]: row["val_loss"] for row in rows if row["kind"] == "eval"}
    assert looks[4] is None and looks[8] > 0
    assert summary.best.step == 8
    saved = json.loads((tmp_path / "run" / "checkpoints" / "step-00000004" / "state.json").read_text())
    assert saved["progress"]["val_loss"] is None and saved["progress"]["val_losses"] == {}
