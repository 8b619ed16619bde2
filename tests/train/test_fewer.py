"""Fewer threads beside another program: taken once, where that was asked for, and at the same step ever after."""

import shutil

import pytest
import torch
from heard import by_word

from chainrule.checkpoint import step_folder, steps_of
from chainrule.config import Layer
from chainrule.run import RunFolder, read_rows
from chainrule.train import loop, pretrain
from chainrule.train.pace import Clock, Costs
from chainrule.verify.stretch import replay

STEPS, SAVE_EVERY, BUSY_FROM = 40, 7, 12


@pytest.fixture
def threads_of(monkeypatch):
    """With how many threads each step was computed, by its number, over all starts of this test."""
    found: dict[int, int] = {}
    own = loop.update

    def update(session, *rest):
        found[session.state.progress.step + 1] = torch.get_num_threads()
        return own(session, *rest)

    monkeypatch.setattr(loop, "update", update)
    monkeypatch.setattr("chainrule.train.once_more.update", update)
    return found


@pytest.fixture
def trained(layers, tmp_path, monkeypatch):
    """Trains on two threads by a clock on which steps are five times as long from BUSY_FROM on; may die at a step."""
    monkeypatch.setattr("chainrule.train.planned.guessed_costs", lambda *_: Costs(1.0, 0.0, 0.0, 0.0))

    def train(name="run", *, when_busy="fewer-threads", die_at=None, resume=False, change=None):
        now = [0.0]
        monkeypatch.setattr(Clock, "now", staticmethod(lambda: now[0]))

        def watch(kind, row):
            if kind == "train":
                now[0] += 1.0 if row["step"] < BUSY_FROM else 5.0
                if row["step"] == die_at:
                    raise StoppedError

        machine = {"device": "cpu", "precision": "float32", "threads": 2, "when_busy": when_busy}
        training = {"steps": STEPS, "save_every": SAVE_EVERY, "keep_last": 99, "eval_every": 40, "sample_every": 40}
        given = [change] if change else []
        given = given if resume else layers(machine=machine, training={**training, "health_every": 0})
        pretrain(given, tmp_path / name, resume=resume, watch=by_word(watch), begun=0.0)
        return RunFolder(tmp_path / name)

    train.folder = tmp_path
    return train


class StoppedError(Exception):
    pass


def decided(run: RunFolder) -> list[tuple[int, int]]:
    return [(row["step"], row["threads"]) for row in read_rows(run.events) if "threads" in row]


def test_by_default_it_is_said_and_the_threads_stay(trained, threads_of):
    run = trained(when_busy="tell")
    assert set(threads_of.values()) == {2} and not decided(run)
    said = [row["message"] for row in read_rows(run.events) if "another program" in row["message"]]
    assert len(said) == 1 and "--machine.when-busy fewer-threads" in said[0]


def test_the_run_goes_on_with_one_thread_and_writes_down_from_which_step(trained, threads_of):
    run = trained()
    ((step, threads),) = decided(run)
    assert threads == 1 and BUSY_FROM < step < STEPS / 2
    assert threads_of == {one: 2 if one <= step else 1 for one in range(1, STEPS + 1)}
    assert any("with 1 thread instead of 2" in row["message"] for row in read_rows(run.events))


@pytest.mark.parametrize("kept", ["before", "at", "behind"])
def test_a_killed_run_changes_over_at_the_same_step_and_asks_no_clock(trained, threads_of, kept):
    with pytest.raises(StoppedError):
        trained(die_at=STEPS - 3)
    run = RunFolder(trained.folder / "run")
    change = decided(run)
    step = change[0][0]
    # Back before the change, of which the journal tells, to the checkpoint of its very step, or behind it.
    assert step in steps_of(run.checkpoints)
    for saved in steps_of(run.checkpoints):
        if {"before": saved >= step, "at": saved > step, "behind": saved <= step}[kept]:
            shutil.rmtree(step_folder(run.checkpoints, saved))
    threads_of.clear()
    trained(resume=True)
    begun = min(threads_of)
    assert begun - 1 == {"before": step - SAVE_EVERY, "at": step}.get(kept, begun - 1)
    assert threads_of == {one: 2 if one <= step else 1 for one in range(begun, STEPS + 1)}
    assert decided(run) == change
    assert not any("bits may differ" in row["message"] for row in read_rows(run.events))


def test_a_resume_that_takes_the_request_back_has_the_threads_of_the_beginning(trained, threads_of):
    with pytest.raises(StoppedError):
        trained(die_at=STEPS - 3)
    threads_of.clear()
    back = Layer("back", {"machine": {"when_busy": "tell"}})
    run = trained(resume=True, change=back)
    assert set(threads_of.values()) == {2}
    assert any("threads was 1, is 2" in row["message"] for row in read_rows(run.events))


def test_a_verification_changes_over_where_the_run_did(trained, threads_of):
    run = trained()
    step = decided(run)[0][0]
    first = max(saved for saved in steps_of(run.checkpoints) if saved < step)
    for saved in steps_of(run.checkpoints):
        if saved not in (first, first + SAVE_EVERY):
            shutil.rmtree(step_folder(run.checkpoints, saved))
    threads_of.clear()
    check = replay(run, seconds=60.0, on_step=lambda *_: None)
    assert check.state == "held" and check.tried > SAVE_EVERY
    assert threads_of == {one: 2 if one <= step else 1 for one in range(first + 1, first + SAVE_EVERY + 1)}
