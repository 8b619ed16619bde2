"""Laws of pruning: a checkpoint goes only once a newer one is proved whole, and never by halves."""

import os
import shutil
from pathlib import Path

import pytest
import torch

from chainrule.checkpoint import clean_stumps, load_checkpoint, prune_checkpoints, save_checkpoint
from chainrule.checkpoint import names as naming
from chainrule.checkpoint.load import verify_checkpoint
from chainrule.run import steps_of


def save(parent: Path, *steps: int) -> None:
    for step in steps:
        save_checkpoint(parent, step, {"model": {"w": torch.full((2,), float(step))}}, {})


def damage(path: Path) -> None:
    (path / "state.json").write_bytes(b"x")


def steps(parent: Path) -> list[int]:
    return [int(path.name.removeprefix("step-")) for path in sorted(parent.iterdir())]


@pytest.mark.parametrize(
    ("keep_last", "keep", "left"),
    [(1, (), [5]), (2, (), [4, 5]), (2, {1}, [1, 4, 5]), (1, {5, 9}, [5]), (9, (), [1, 2, 3, 4, 5])],
)
def test_the_newest_and_the_chosen_stay(tmp_path: Path, keep_last: int, keep: set[int], left: list[int]) -> None:
    save(tmp_path, 1, 2, 3, 4, 5)
    deleted = prune_checkpoints(tmp_path, keep_last, keep)
    assert steps(tmp_path) == left
    assert len(deleted) == 5 - len(left)


def test_nothing_goes_when_none_verifies(tmp_path: Path) -> None:
    save(tmp_path, 1, 2, 3)
    for step in (1, 2, 3):
        damage(tmp_path / f"step-0000000{step}")
    assert prune_checkpoints(tmp_path, 1) == []
    assert steps(tmp_path) == [1, 2, 3]


def test_a_damaged_newest_does_not_count(tmp_path: Path) -> None:
    save(tmp_path, 1, 2, 3)
    damage(tmp_path / "step-00000003")
    prune_checkpoints(tmp_path, 1)
    assert steps(tmp_path) == [2, 3]
    verify_checkpoint(tmp_path / "step-00000002")


def test_keeping_none_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="at least 1"):
        prune_checkpoints(tmp_path, 0)


def test_a_deletion_that_dies_half_way_leaves_no_checkpoint_by_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save(tmp_path, 1, 2)

    def half(folder: Path) -> None:
        (folder / "state.json").unlink()
        raise KeyboardInterrupt

    monkeypatch.setattr(naming.shutil, "rmtree", half)
    with pytest.raises(KeyboardInterrupt):
        prune_checkpoints(tmp_path, 1)
    monkeypatch.undo()
    assert steps_of(tmp_path) == [2]
    assert len(clean_stumps(tmp_path)) == 1
    assert steps(tmp_path) == [2]


def test_stumps_go_and_everything_else_stays(tmp_path: Path) -> None:
    save(tmp_path, 7)
    shutil.copytree(tmp_path / "step-00000007", tmp_path / f".new-step-00000008-{os.getpid()}-0123abcd")
    shutil.copytree(tmp_path / "step-00000007", tmp_path / f".removed-step-00000006-{os.getpid()}-0123abcd")
    (tmp_path / ".hidden").mkdir()
    (tmp_path / "notes.txt").write_text("mine")
    assert len(clean_stumps(tmp_path)) == 2
    assert sorted(path.name for path in tmp_path.iterdir()) == [".hidden", "notes.txt", "step-00000007"]
    assert clean_stumps(tmp_path) == [] and clean_stumps(tmp_path / "absent") == []


def test_a_checkpoint_that_was_being_replaced_gets_its_name_back(tmp_path: Path) -> None:
    save(tmp_path, 7)
    (tmp_path / "step-00000007").rename(tmp_path / ".old-step-00000007-1-0123abcd")
    clean_stumps(tmp_path)
    assert load_checkpoint(tmp_path / "step-00000007").step == 7
