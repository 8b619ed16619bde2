"""A run exists wholly or not at all: no start, however it ends, blocks its name or leaves rubbish."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from heard import by_word

from chainrule.base import ChainruleError, DataError, RunError, TrainingError
from chainrule.config import Layer
from chainrule.run import RunFolder, Summary, list_runs
from chainrule.train import claim, pretrain

HERE = Path(__file__).parent
SHORT = {"training": {"steps": 2}}


class DiedError(Exception):
    """Like a kill: nothing is tidied up."""


def heard(kind: str, row: dict) -> str:
    return str(row["phase"]) if kind == "progress" else kind


@pytest.mark.parametrize("point", ["machine", "reading", "plan", "tokens", "tokenizer", "data"])
def test_a_killed_start_can_be_begun_again_and_gone_on_with(layers, tmp_path, point):
    def die(kind, row):
        if heard(kind, row) == point:
            raise DiedError

    for again in (layers(**SHORT), []):
        run = tmp_path / ("resumed" if not again else "again")
        with pytest.raises(DiedError):
            pretrain(layers(**SHORT), run, watch=by_word(die))
        assert pretrain(again, run, resume=not again).status == "finished"


@pytest.mark.parametrize("point", ["machine", "reading", "plan", "tokens", "tokenizer", "data"])
def test_an_interrupted_start_leaves_nothing_and_its_name_is_free(layers, tmp_path, point):
    def interrupt(kind, row):
        if heard(kind, row) == point:
            signal.raise_signal(signal.SIGINT)

    summary = pretrain(layers(**SHORT), tmp_path / "run", watch=by_word(interrupt))
    assert summary == Summary("interrupted", signal=signal.SIGINT)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("over", "fault"),
    [
        ({"text": {"paths": ["absent.txt"]}}, DataError),
        ({"training": {"steps": 2}, "model": {"context_length": 8_192}}, ChainruleError),
        ({"origin": {"start_from": "./absent"}}, RunError),
    ],
    ids=["no such text", "too little text", "no such origin"],
)
def test_a_start_that_fails_leaves_nothing(layers, tmp_path, monkeypatch, over, fault):
    monkeypatch.chdir(tmp_path)
    given = layers(**over)
    if "origin" in over:
        given = [given[1], Layer("test", over)]
    for _ in range(2):
        with pytest.raises(fault):
            pretrain(given, tmp_path / "run")
    assert list(tmp_path.iterdir()) == []


def test_a_long_preparation_is_kept_and_said_when_the_start_fails(layers, tmp_path, monkeypatch):
    monkeypatch.setattr(claim, "WORTH_KEEPING_SECONDS", 0.0)
    said = []

    def fail(*_, **__):
        raise TrainingError("no step can be made")

    monkeypatch.setattr("chainrule.train.stages.probe", fail)
    with pytest.raises(TrainingError):
        pretrain(
            layers(training={"steps": 2}),
            tmp_path / "run",
            watch=by_word(lambda kind, row: said.append(row.get("message", ""))),
        )
    assert any(f"--resume {tmp_path / 'run'}" in message for message in said)
    assert RunFolder(tmp_path / "run").data.is_dir()


def test_what_another_start_prepared_is_removed_when_it_is_little_and_refused_when_it_is_much(
    layers, tmp_path, monkeypatch
):
    def die(kind, row):
        if kind == "data":
            raise DiedError

    run = tmp_path / "run"
    for most, told in ((0, "another start prepared"), (2**30, None)):
        monkeypatch.setattr(claim, "WORTH_KEEPING_BYTES", most)
        with pytest.raises(DiedError):
            pretrain(layers(**SHORT), run, watch=by_word(die))
        other = layers(**SHORT, text={"validation_share": 0.2})
        if told:
            with pytest.raises(RunError, match=told):
                pretrain(other, run)
        else:
            assert pretrain(other, run).status == "finished"


def test_a_person_s_files_are_never_taken_for_a_start(layers, tmp_path):
    (tmp_path / "config.toml").touch()
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(RunError, match="no run overwrites another"):
        pretrain(layers(), tmp_path)
    assert (tmp_path / "thesis.txt").read_text() == "mine"


def test_going_on_with_what_is_not_there_makes_no_folder(tmp_path):
    with pytest.raises(RunError, match="no run to resume"):
        pretrain([], tmp_path / "absent", resume=True)
    assert list(tmp_path.iterdir()) == []


def test_a_start_that_left_nothing_to_go_on_with_is_not_listed(layers, tmp_path):
    def die(kind, row):
        raise DiedError

    with pytest.raises(DiedError):
        pretrain(layers(**SHORT), tmp_path / "run", watch=by_word(die))
    assert RunFolder(tmp_path / "run").config.is_file()
    assert list_runs(tmp_path) == []


@pytest.mark.skipif(sys.platform == "win32", reason="SIGKILL")
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM], ids=lambda number: number.name)
@pytest.mark.slow
def test_the_same_command_again_and_then_resume_work_after_a_real_signal_at_any_instant(texts, tmp_path, number):
    command = [sys.executable, str(HERE / "child.py"), str(tmp_path / "run"), str(texts)]
    for seconds in (0.5, 1.0, 2.0, 3.0, 4.0):
        child = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=os.environ)
        try:
            child.wait(seconds)
        except subprocess.TimeoutExpired:
            child.send_signal(number)
            child.wait(60)
        run = RunFolder(tmp_path / "run")
        if run.metrics.is_file():
            break
    words = ["resume"] if run.metrics.is_file() else []
    done = subprocess.run([*command, *words], capture_output=True, text=True, timeout=100)
    assert json.loads(done.stdout.splitlines()[-1])["status"] == "finished"


@pytest.mark.skipif(sys.platform == "win32", reason="folders have no such modes")
@pytest.mark.parametrize(("asked", "mode"), [({}, 0o700), ({"readable_by": "everyone"}, 0o755)])
def test_a_run_is_its_owners_alone_to_read_unless_asked_otherwise(layers, tmp_path, asked, mode):
    cache = tmp_path / "cache"
    wider = os.umask(0o022)
    try:
        pretrain(layers(training={"steps": 1}, machine={"cache": str(cache), **asked}), tmp_path / "runs" / "run")
    finally:
        os.umask(wider)
    assert (tmp_path / "runs" / "run").stat().st_mode & 0o777 == mode
    assert all(entry.stat().st_mode & 0o077 == 0 for entry in (cache, *cache.iterdir()) if entry.is_dir())
    assert cache.is_dir()
