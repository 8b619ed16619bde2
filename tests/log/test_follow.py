"""What a tracker is told of a run: all rows once, by their steps, while they come, and nothing twice after a resume."""

import threading
from collections.abc import Mapping
from pathlib import Path

import pytest
from dashboard.made import add_rows, make_run, train_rows

from chainrule.log import follow
from chainrule.log import following as following
from chainrule.run import append_row, cut_after_step


class Told:
    """A tracker that remembers."""

    def __init__(self) -> None:
        self.rows: list[tuple[int, str, object]] = []

    def figures(self, step: int, values: Mapping[str, float]) -> None:
        self.rows += [(step, name, value) for name, value in values.items()]

    def text(self, step: int, name: str, text: str) -> None:
        self.rows.append((step, name, text))

    def close(self) -> None:
        pass

    def steps(self, name: str) -> list[int]:
        return [step for step, one, _ in self.rows if one == name]


def test_all_that_is_there_is_told_in_the_order_of_its_steps(tmp_path: Path) -> None:
    run, told = make_run(tmp_path / "one", steps=60), Told()
    count = follow(run, told, ends=lambda: True)
    assert told.steps("train/loss") == list(range(1, 61)) and len(told.steps("held_out/bits_per_byte")) == 60
    assert [step for step, _, _ in told.rows] == sorted(step for step, _, _ in told.rows)
    assert (0, "samples/The king", "The king tne a_ ,in se e the\n\n  )or") in told.rows
    assert count == 60 + 60 + len([row for row in told.rows if row[1].startswith("samples/")])


def test_the_very_step_that_was_told_last_is_not_told_again_when_a_resume_makes_it_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(following, "EVERY_SECONDS", 0.0)
    run, told, looks = make_run(tmp_path / "one", steps=60, done=30, running=True), Told(), iter(range(9))

    def ends() -> bool:
        if next(looks) == 0:
            return False
        cut_after_step(run.metrics, 25)
        add_rows(run, train_rows(range(26, 61), 60, seed=1))
        return True

    follow(run, told, ends=ends)
    assert told.steps("train/loss") == list(range(1, 61))


def test_what_comes_is_told_once_and_what_a_resume_makes_again_is_not(tmp_path: Path) -> None:
    run, told, over = make_run(tmp_path / "one", steps=60, done=20, running=True), Told(), threading.Event()
    thread = threading.Thread(target=lambda: follow(run, told, ends=over.is_set))
    thread.start()
    add_rows(run, train_rows(range(21, 31), 60))
    cut_after_step(run.metrics, 25)
    add_rows(run, train_rows(range(26, 61), 60))
    with run.metrics.open("ab") as stream:
        stream.write(b'{"kind": "train", "st')
    append_row(run.metrics, {"kind": "train", "step": 61, "tokens": 1, "seconds": 1.0, "loss": None})
    over.set()
    thread.join(20)
    assert not thread.is_alive() and told.steps("train/loss") == sorted(set(told.steps("train/loss")))
    assert told.steps("train/loss")[-1] == 60 and told.steps("progress/tokens")[-1] == 61
