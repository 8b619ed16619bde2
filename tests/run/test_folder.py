"""One place knows the names inside a run folder."""

import re

import pytest

from chainrule.base import RunError
from chainrule.run import RunFolder, folder, list_runs, open_run
from chainrule.run.begin import BEFORE_THE_FIRST_STEP


def make_run(path):
    path.mkdir(parents=True)
    (path / "config.toml").touch()
    return path


def test_every_name_drawn_in_the_docstring_is_a_property():
    drawn = re.findall(r"^ {6}(\w+)[./]?(?:\w*) ", folder.__doc__ or "", re.M)
    assert len(drawn) > 8
    for name in drawn:
        assert getattr(RunFolder, {"SHA256SUMS": "sums"}.get(name, name)), name


def test_each_name_is_made_before_the_first_step_or_by_a_run_that_has_begun():
    """A file that a start writes and nobody knows of would be left behind when the start fails, and block its name."""
    drawn = set(re.findall(r"^ {6}([\w.]+)/? ", folder.__doc__ or "", re.M))
    of_the_run = {
        *("metrics.jsonl", "health.jsonl", "samples.jsonl", "skipped", "spikes", "checkpoints"),
        *("summary.json", "report.html", "surprise.jsonl", "anchors.jsonl", "phases.jsonl"),
    }
    assert drawn - of_the_run <= BEFORE_THE_FIRST_STEP and not of_the_run & BEFORE_THE_FIRST_STEP
    assert len(drawn - of_the_run) > 10


def test_asking_for_paths_touches_nothing(tmp_path):
    run = RunFolder(tmp_path / "a")
    assert run.metrics.parent == run.path
    assert not run.path.exists()


def test_runs_are_listed_by_name_and_only_those(tmp_path):
    make_run(tmp_path / "b")
    make_run(tmp_path / "a")
    (tmp_path / "other").mkdir()
    assert [run.name for run in list_runs(tmp_path)] == ["a", "b"]
    assert list_runs(tmp_path / "absent") == []


def test_a_run_folder_opens_wherever_it_was_moved(tmp_path):
    moved = make_run(tmp_path / "x" / "a").rename(tmp_path / "y")
    assert open_run(moved).path == moved


def test_a_mistyped_run_is_answered_with_the_nearest(tmp_path):
    make_run(tmp_path / "books-1")
    with pytest.raises(RunError, match=r"Did you mean '.*books-1'\?"):
        open_run(tmp_path / "boks-1")


def test_another_folder_is_not_a_run(tmp_path):
    with pytest.raises(RunError, match=r"not a run folder: it has no config\.toml"):
        open_run(tmp_path)
