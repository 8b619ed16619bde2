"""A disk that becomes read-only or disappears in the middle of a run: waited for, or one sentence; nothing is lost."""

import re
import shutil
from pathlib import Path

import pytest
from heard import by_word
from small_disk import READ_ONLY, SmallDisk, take_away

from chainrule.base import DiskError
from chainrule.checkpoint import newest_checkpoint
from chainrule.run import read_rows
from chainrule.train import pretrain, room

SHORT = {"steps": 8, "save_every": 4, "eval_every": 4, "sample_every": 8}


class Lent:
    """A disk that is seen at `place`; what happens to it there, and how that is undone."""

    def __init__(self, folder: Path) -> None:
        self.disk, self.place = SmallDisk(folder / "disk", 32 << 20), folder / "place"
        self.ways = 0
        self.appear()

    def appear(self, how: int = 0) -> None:
        self.disk.appear_at(self.place, how=how)
        self.ways += 1

    def disappear(self) -> None:
        take_away(self.place)
        self.ways -= 1

    def close(self) -> None:
        for _ in range(self.ways):
            take_away(self.place)
        self.disk.close()


@pytest.fixture
def lent(tmp_path):
    made = Lent(tmp_path)
    yield made
    made.close()


@pytest.fixture
def straight(layers, tmp_path):
    pretrain(layers(training=SHORT), tmp_path / "straight")
    return tmp_path / "straight"


def left(run: Path) -> tuple:
    found = newest_checkpoint(run / "checkpoints", on_reject=lambda path, reason: pytest.fail(reason))
    tensors = {**found.tensors("model"), **found.tensors("optimizer")}
    rows = [tuple(map(row.get, ("kind", "step", "loss", "val_loss"))) for row in read_rows(run / "metrics.jsonl")]
    names = sorted(path.name for path in found.path.iterdir())
    return {name: tensor.numpy().tobytes() for name, tensor in tensors.items()}, rows, names


HAPPENS = {
    "read-only": (lambda lent: lent.appear(READ_ONLY), lambda lent: lent.disappear(), "make .* writable again"),
    "gone": (lambda lent: lent.disappear(), lambda lent: lent.appear(), "bring the disk of .* back"),
}


@pytest.mark.parametrize("at", [3, 6])
@pytest.mark.parametrize("what", HAPPENS)
def test_it_is_waited_for_and_the_run_comes_to_the_same_bits(layers, lent, straight, monkeypatch, what, at):
    monkeypatch.setattr(room, "ASK_SECONDS", 0.01)
    happen, undo, remedy = HAPPENS[what]
    said = []

    def watch(kind, row):
        if kind == "train" and row["step"] == at:
            happen(lent)
        if kind == "notice":
            said.append(row["message"])
            if "The run waits" in said[-1]:
                undo(lent)

    run = lent.place / "run"
    assert pretrain(layers(training=SHORT), run, watch=by_word(watch)).status == "finished"
    (waited,) = [message for message in said if "The run waits" in message]
    assert re.search(remedy, waited), waited
    assert left(run) == left(straight)


@pytest.mark.parametrize("what", HAPPENS)
def test_or_it_is_stopped_for_with_the_way_on_and_nothing_is_written_elsewhere(layers, lent, straight, what):
    happen, undo, _ = HAPPENS[what]
    run = lent.place / "run"

    def watch(kind, row):
        if kind == "train" and row["step"] == 6:
            happen(lent)

    told = {"read-only": "the file system is read-only", "gone": "its disk is no longer mounted"}[what]
    with pytest.raises(DiskError, match=rf"{told}.*`chainrule pretrain --resume {run}`"):
        pretrain(layers(training={**SHORT, "on_full": "stop"}), run, watch=by_word(watch))
    if what == "gone":
        assert list(lent.place.iterdir()) == []  # not on the disk below
    undo(lent)
    assert pretrain([], run, resume=True).status == "finished"
    assert left(run) == left(straight)


def test_a_folder_that_was_removed_ends_the_run_and_is_not_made_again(layers, tmp_path):
    run, said = tmp_path / "run", []

    def watch(kind, row):
        said.append(row.get("message", ""))
        if kind == "train" and row["step"] == 6:
            shutil.rmtree(run)

    with pytest.raises(DiskError, match="is gone: the folder was removed or renamed"):
        pretrain(layers(training=SHORT), run, watch=by_word(watch))
    assert not run.exists() and not any("The run waits" in one for one in said)
