"""Health watches a run and moves no bit of it; what it writes is true, bounded, and enough to replay a spike."""

import json
import math

import pytest
import torch
from heard import by_word
from small_disk import SmallDisk

from chainrule.base import FLOOR_BYTES
from chainrule.checkpoint import newest_checkpoint
from chainrule.config import resolve
from chainrule.model import GPT
from chainrule.plan import checkpoint_bytes
from chainrule.run import HealthRecord, RunFolder, read_rows
from chainrule.spike import explain_spike
from chainrule.train import health as room
from chainrule.train import pretrain
from chainrule.verdict import judge


def tensors(run):
    found = newest_checkpoint(run / "checkpoints", on_reject=lambda path, reason: pytest.fail(reason))
    return {**found.tensors("model"), **found.tensors("optimizer")}


def health(run, kind):
    return [row for row in read_rows(RunFolder(run).health) if row["kind"] == kind]


def figures(run):
    keys = ("step", "loss", "grad_norm", "val_loss", "text")
    rows = [*read_rows(RunFolder(run).metrics), *read_rows(RunFolder(run).samples)]
    return [{key: row[key] for key in keys if key in row} for row in rows]


def test_training_is_the_same_to_the_bit_with_health_and_without(layers, tmp_path):
    for every in (0, 3):
        over = {"training": {"health_every": every}, "machine": {"micro_batch": 1}}
        pretrain(layers(**over), tmp_path / str(every))
    without, watched = tensors(tmp_path / "0"), tensors(tmp_path / "3")
    assert all(torch.equal(without[name], watched[name]) for name in without)
    assert figures(tmp_path / "0") == figures(tmp_path / "3")
    assert not RunFolder(tmp_path / "0").health.exists()
    record = HealthRecord.of_rows(read_rows(RunFolder(tmp_path / "3").health))
    assert [row.step for row in record.norms] == list(range(1, 13))
    assert [row.step for row in record.inside] == [1, 4, 7, 10]
    assert all(row.noise[2] == 1 for row in record.norms)
    judge(record)


def test_norms_of_layers_add_up_to_the_gradient_norm_of_the_step(layers, tmp_path):
    pretrain(layers(training={"log_every": 5}), tmp_path / "run")
    rows = health(tmp_path / "run", "norms")
    assert [(row["step"], row["n"]) for row in rows] == [(1, 1), (5, 4), (10, 5), (12, 2)]
    first = next(row for row in read_rows(tmp_path / "run" / "metrics.jsonl") if row["kind"] == "train")
    assert math.hypot(*rows[0]["gradient"]) == pytest.approx(first["grad_norm"], rel=1e-3)
    for row in rows:
        assert all(mean <= most * 1.001 for mean, most in zip(row["gradient"], row["gradient_max"], strict=True))


def test_the_file_of_a_long_run_stays_small(layers, tmp_path, monkeypatch):
    monkeypatch.setattr(room, "MOST_ROWS", 4)
    pretrain(layers(training={"health_every": 1}), tmp_path / "run")
    assert [row["step"] for row in health(tmp_path / "run", "norms")] == [1, 3, 6, 9, 12]
    assert len(health(tmp_path / "run", "inside")) == 4


class StoppedError(Exception):
    pass


def test_a_resumed_run_has_every_row_once(layers, tmp_path):
    def die(kind, row):
        if kind == "train" and row["step"] == 10:
            raise StoppedError

    over = {"training": {"health_every": 2}}
    pretrain(layers(**over), tmp_path / "straight")
    with pytest.raises(StoppedError):
        pretrain(layers(**over), tmp_path / "killed", watch=by_word(die))
    pretrain([], tmp_path / "killed", resume=True)
    for kind in ("layers", "norms", "inside"):
        assert health(tmp_path / "killed", kind) == health(tmp_path / "straight", kind)
    one, other = tensors(tmp_path / "straight"), tensors(tmp_path / "killed")
    assert all(torch.equal(one[name], other[name]) for name in one)


def poisoned(monkeypatch, step, spoil):
    """Watcher after whose step `step` the losses of one batch go through `spoil`, also when they are replayed."""
    loss, state = GPT.loss, {"due": False, "ids": None}

    def spoilt(self, ids, targets, documents=None):
        value = loss(self, ids, targets, documents)
        if state["due"]:
            state["due"], state["ids"] = False, ids.clone()
        hit = state["ids"] is not None and torch.equal(ids, state["ids"])
        return spoil(value) if hit else value

    def watch(kind, row):
        if kind == "train" and row["step"] == step:
            state["due"] = True

    monkeypatch.setattr(GPT, "loss", spoilt)
    return watch


def test_norms_wait_on_the_device_for_a_row_or_for_a_bundle(layers, tmp_path, monkeypatch):
    read, plain = [], room.RunHealth._read
    monkeypatch.setattr(room.RunHealth, "_read", lambda self: read.append(len(self.unread)) or plain(self))
    pretrain(layers(training={"log_every": 5}), tmp_path / "run")
    assert read == [1, 4, 5, 2]
    del read[:]
    monkeypatch.setattr(room, "MOST_ROWS", 1)
    watch = poisoned(monkeypatch, 5, lambda value: value * float("inf"))
    pretrain(layers(), tmp_path / "spiked", watch=by_word(watch))
    assert read == [1, 4, 6]  # step 6 is the spike, and is not counted: it moved nothing
    (bundle,) = (tmp_path / "spiked" / "spikes").iterdir()
    assert [one["step"] for one in json.loads((bundle / "state.json").read_text())["past"]] == [1, 2, 3, 4, 5]


def test_a_step_that_is_not_finite_leaves_all_that_a_replay_needs(layers, tmp_path, monkeypatch):
    watch = poisoned(monkeypatch, 5, lambda value: value * float("inf"))
    heard = []

    def both(kind, row):
        watch(kind, row)
        heard.append((kind, row.get("message", "")))

    pretrain(layers(), tmp_path / "run", watch=by_word(both))
    (bundle,) = (tmp_path / "run" / "spikes").iterdir()
    assert bundle.name == "step-00000006"
    (row,) = health(tmp_path / "run", "spike")
    assert (row["step"], row["bundle"], row["applied"]) == (6, bundle.name, False)
    state = json.loads((bundle / "state.json").read_text())
    assert state["loss"] == "inf" and state["checkpoint"] == "step-00000004"
    assert state["first_sample"] == 20 and len(state["past"]) == 5 and state["texts"]
    report = explain_spike(RunFolder(tmp_path / "run"))
    assert report.diagnosis.cause == "data"  # the poison goes with the batch
    assert report.same_numbers


def test_a_replay_of_an_ordinary_looking_step_gives_its_numbers_to_the_bit(layers, tmp_path, monkeypatch):
    watch = poisoned(monkeypatch, 8, lambda value: value * 40)
    monkeypatch.setattr("chainrule.health.spikes.LEAST", 4)
    pretrain(layers(machine={"micro_batch": 4}), tmp_path / "run", watch=by_word(watch))
    report = explain_spike(RunFolder(tmp_path / "run"), 9)
    own = report.diagnosis.replays["float32"]
    assert own.loss == report.loss
    assert own.grad_norm == pytest.approx(report.grad_norm, rel=1e-6)
    assert report.same_numbers and report.diagnosis.cause == "data"
    assert len(report.tokens) == 8 and report.evidence


def test_an_excess_of_the_runs_own_precision_is_blamed_on_it(layers, tmp_path, monkeypatch):
    watch = poisoned(monkeypatch, 6, lambda value: value * (40 if torch.is_autocast_enabled("cpu") else 1))
    monkeypatch.setattr("chainrule.health.spikes.LEAST", 4)
    over = {"machine": {"precision": "bfloat16", "micro_batch": 2}, "text": {"cross_documents": False}}
    pretrain(layers(training={"steps": 8}, **over), tmp_path / "run", watch=by_word(watch))
    report = explain_spike(RunFolder(tmp_path / "run"))
    assert (report.step, report.diagnosis.cause, report.same_numbers) == (7, "precision", True)
    assert [one.in_line for one in report.diagnosis.replays.values()] == [False, True, True]


def test_three_bundles_are_kept_and_no_more(layers, tmp_path, monkeypatch):
    monkeypatch.setattr(room, "QUIET_STEPS", 0)
    loss, calls = GPT.loss, []

    def spoilt(self, ids, targets, documents=None):
        calls.append(0)
        return loss(self, ids, targets, documents) * (float("nan") if self.training and len(calls) % 3 == 0 else 1.0)

    monkeypatch.setattr(GPT, "loss", spoilt)
    pretrain(layers(), tmp_path / "run")
    spikes = health(tmp_path / "run", "spike")
    assert len(spikes) > 3
    assert len(list((tmp_path / "run" / "spikes").iterdir())) == 3 == sum("bundle" in row for row in spikes)


def test_a_bundle_leaves_room_for_the_next_checkpoint_and_the_run_says_that_it_did(layers, tmp_path, monkeypatch):
    poison = poisoned(monkeypatch, 5, lambda value: value * float("inf"))
    size, told = checkpoint_bytes(resolve(layers()).config), []
    disk = SmallDisk(tmp_path / "disk", 16 << 20)

    def watch(kind, row):
        poison(kind, row)
        told.append(row.get("message", ""))
        if kind == "train" and row["step"] == 5:
            disk.leave(FLOOR_BYTES + size * 5 // 4)  # for a bundle, or for a checkpoint, and not for both
        if "could not be kept" in told[-1]:
            disk.leave(12 << 20)

    try:
        run = disk.folder / "run"
        assert pretrain(layers(), run, watch=by_word(watch)).status == "finished"
        assert not list(run.glob("spikes/*"))
        (said,) = [one for one in told if "its bundle could not be kept" in one]
        assert "are needed for a bundle and the next checkpoint" in said
        assert not any("The run waits" in one for one in told)
    finally:
        disk.close()
