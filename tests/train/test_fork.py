"""A fork goes on from a checkpoint of another run, bit for bit where nothing is changed, and leaves that run alone."""

import json
import os
import signal
from pathlib import Path

import pytest
from heard import by_word

from chainrule.base import CheckpointError, ConfigError, RunError
from chainrule.checkpoint import load_checkpoint, newest_checkpoint
from chainrule.config import Layer, load_toml
from chainrule.report import write_report
from chainrule.run import EvalRow, Event, RunFolder, TrainRow, read_start, read_summary, rows_of
from chainrule.train import pretrain

TEN = {"training": {"steps": 10, "save_every": 4, "eval_every": 4, "sample_every": 10, "keep_last": 9}}


@pytest.fixture(scope="module")
def straight(layers, tmp_path_factory) -> Path:
    """A finished run of ten steps with checkpoints of 4, 8 and 10."""
    folder = tmp_path_factory.mktemp("straight") / "straight"
    pretrain(layers(**TEN), folder)
    return folder


def fork(word: object, path: Path, minutes: float | None = None, **settings: dict) -> Path:
    pretrain([Layer("flag", {"origin": {"fork": str(word)}, **settings})], path, minutes=minutes)
    return path


def bits(run: Path, step: int = 10) -> dict[str, bytes]:
    found = load_checkpoint(run / "checkpoints" / f"step-{step:08}")
    return {
        f"{stem}.{name}": tensor.numpy().tobytes()
        for stem in ("model", "optimizer")
        for name, tensor in found.tensors(stem).items()
    }


def files(folder: Path) -> dict[str, tuple[int, float]]:
    return {str(path): (path.stat().st_size, path.stat().st_mtime) for path in folder.rglob("*") if path.is_file()}


def rows(run: Path, kind: type) -> list:
    return [(row.step, row.loss if kind is TrainRow else row.val_loss) for row in rows_of(run / "metrics.jsonl", kind)]


def test_a_fork_with_nothing_changed_comes_to_the_same_bits_and_leaves_its_run_alone(straight, tmp_path):
    before = files(straight)
    forked = fork(f"{straight}@4", tmp_path / "forked")
    assert bits(forked) == bits(straight)
    assert rows(forked, TrainRow) == rows(straight, TrainRow) and rows(forked, EvalRow) == rows(straight, EvalRow)
    assert files(straight) == before
    assert read_summary(RunFolder(forked)).val_bits_per_byte == read_summary(RunFolder(straight)).val_bits_per_byte


def test_a_run_that_planned_its_steps_again_is_followed_in_what_it_decided(layers, tmp_path, monkeypatch):
    def decided(session):
        return 14 if session.state.progress.step == 6 and session.course.steps == 10 else None

    with monkeypatch.context() as patched:
        patched.setattr("chainrule.train.replan._wanted_steps", decided)
        patched.setattr("chainrule.train.replan._sentence", lambda *_: "planned again")
        pretrain(layers(**TEN), tmp_path / "planned")
    for step in (4, 8):
        forked = fork(f"{tmp_path / 'planned'}@{step}", tmp_path / f"forked-{step}")
        assert bits(forked, 14) == bits(tmp_path / "planned", 14)


def test_a_changed_rate_changes_what_follows_and_nothing_before(straight, tmp_path):
    forked = fork(f"{straight}@8", tmp_path / "forked", optimizer={"muon_lr": 0.001})
    assert bits(forked, 8) == bits(straight, 8) and bits(forked) != bits(straight)
    assert rows(forked, TrainRow)[:9] == rows(straight, TrainRow)[:9]


def test_the_lineage_is_kept_told_and_makes_the_same_run_again(straight, tmp_path):
    first = fork(f"{straight}@4", tmp_path / "first", optimizer={"muon_lr": 0.01})
    second = RunFolder(fork(f"{first}@8", tmp_path / "second", schedule={"floor": 0.5}))
    told = [(Path(one.run).name, one.step, dict(one.changed)) for one in read_summary(second).lineage]
    assert told == [
        ("straight", 4, {"optimizer.muon_lr": [0.02, 0.01]}),
        ("first", 8, {"schedule.floor": [0.1, 0.5]}),
    ]
    assert read_start(second).lineage == read_summary(second).lineage
    page = write_report(second).read_text()
    said = (
        f"Forked from {first} at step 8, with schedule.floor from 0.1 to 0.5; itself forked from {straight} at step 4"
    )
    assert said in page and f"--fork {second.path} --minutes 10" in page
    pretrain([load_toml(second.config)], tmp_path / "again")
    assert bits(tmp_path / "again") == bits(second.path)


def test_a_finished_run_gets_longer_in_a_run_of_its_own(straight, tmp_path):
    longer = fork(straight, tmp_path / "longer", training={"steps": 14})
    assert [step for step, _ in rows(longer, TrainRow)] == list(range(1, 15))
    assert bits(longer) == bits(straight)
    said = [event.message for event in rows_of(longer / "events.jsonl", Event)]
    assert any("14 steps instead of 10" in message for message in said)
    timed = fork(straight, tmp_path / "timed", minutes=0.1)
    assert rows(timed, TrainRow)[-1][0] > 10


def test_a_fork_that_a_kill_ended_goes_on_by_resume_to_the_same_bits(straight, tmp_path):
    class DiedError(Exception):
        pass

    def die(kind, row):
        if kind == "train" and row["step"] == 9:
            raise DiedError

    asked = [Layer("flag", {"origin": {"fork": f"{straight}@4"}})]
    with pytest.raises(DiedError):
        pretrain(asked, tmp_path / "forked", watch=by_word(die))
    pretrain([], tmp_path / "forked", resume=True)
    assert bits(tmp_path / "forked") == bits(straight)


@pytest.mark.parametrize("at", ["seal_files", "_save", "save_settings"])
def test_a_fork_that_a_kill_ended_while_it_was_laid_out_is_begun_anew_by_the_same_command(
    straight, tmp_path, monkeypatch, at
):
    """Journals and checkpoint of the other run lie there by then, and nothing of them was learnt here."""
    with monkeypatch.context() as patched:
        patched.setattr(f"chainrule.train.fork.{at}", lambda *_: os.kill(os.getpid(), signal.SIGKILL))
        child = os.fork()
        if child == 0:
            fork(f"{straight}@4", tmp_path / "forked")
            os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL
    left = tmp_path / "forked"
    assert (left / "metrics.jsonl").is_file() and not (left / "config.toml").exists()
    fork(f"{straight}@4", left)
    assert bits(left) == bits(straight) and not (left / "forking").exists()


def test_a_run_whose_settings_somebody_removed_is_not_overwritten(straight, tmp_path):
    forked = fork(f"{straight}@4", tmp_path / "forked")
    (forked / "config.toml").unlink()
    with pytest.raises(RunError, match="no run overwrites another"):
        fork(f"{straight}@4", forked)


@pytest.mark.parametrize(
    ("word", "settings", "fault", "told"),
    [
        ("@4", {"model": {"emb_dim": 32}}, ConfigError, r"model\.emb_dim from 16 to 32"),
        ("@4", {"model": {"vocab_size": 300}}, ConfigError, r"model\.vocab_size from 257 to 300"),
        ("@4", {"vocabulary": {"kind": "chars"}}, ConfigError, r"vocabulary\.kind"),
        ("@4", {"text": {"paths": ["elsewhere"]}}, ConfigError, r"text\.paths .* --from"),
        ("@4", {"optimizer": {"kind": "adamw"}}, ConfigError, r"optimizer\.kind from 'muon' to 'adamw'"),
        ("@5", {}, CheckpointError, "no checkpoint of step 5; it has 4, 8, 10"),
        ("@last", {}, RunError, "names no step"),
        ("-none", {}, RunError, "no run at"),
        ("", {}, ConfigError, r"is the end of 10 steps.*--fork \S+@10 --minutes 10 .*@8"),
        ("@8", {"training": {"steps": 8}}, ConfigError, "is the end of 8 steps"),
    ],
)
def test_what_cannot_be_is_refused_by_name_and_leaves_nothing(straight, tmp_path, word, settings, fault, told):
    with pytest.raises(fault, match=told):
        fork(f"{straight}{word}", tmp_path / "forked", **settings)
    assert not (tmp_path / "forked").exists()


def test_a_start_that_fails_late_or_is_interrupted_leaves_nothing(straight, tmp_path, monkeypatch):
    def damaged(*_):
        raise CheckpointError("damaged")

    with monkeypatch.context() as patched:
        patched.setattr("chainrule.train.start.check_fits", damaged)
        with pytest.raises(CheckpointError):
            fork(f"{straight}@4", tmp_path / "failed")
    assert not (tmp_path / "failed").exists()

    asked = [Layer("flag", {"origin": {"fork": f"{straight}@4"}})]
    interrupting = by_word(lambda kind, row: signal.raise_signal(signal.SIGTERM) if "cpu" in json.dumps(row) else None)
    assert pretrain(asked, tmp_path / "stopped", watch=interrupting).status == "interrupted"
    assert not (tmp_path / "stopped").exists()


def test_a_finished_run_that_is_resumed_is_told_what_to_type(straight):
    heard = []
    pretrain([], straight, resume=True, watch=by_word(lambda kind, row: heard.append(row.get("message", ""))))
    assert any(f"chainrule pretrain --fork {straight} --minutes 10" in message for message in heard)


def test_newest_checkpoint_of_a_fork_stands_alone(straight, tmp_path):
    forked = fork(f"{straight}@8", tmp_path / "forked")
    assert sorted(path.name for path in (forked / "checkpoints").iterdir()) == ["step-00000008", "step-00000010"]
    assert newest_checkpoint(forked / "checkpoints", on_reject=lambda *_: pytest.fail("damaged")).step == 10
