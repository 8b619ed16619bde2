"""The seeds that are missing are trained once, under a name by which they are found again."""

import json
import shutil
import signal
from contextlib import contextmanager

import pytest
from small_disk import SmallDisk

from chainrule.base import FLOOR_BYTES, ConfigError, RunError
from chainrule.cli import main
from chainrule.compare import missing_seeds, train_seed
from chainrule.compare.groups import groups_of
from chainrule.plan import checkpoint_bytes
from chainrule.run import RunFolder, TrainRow

pytestmark = pytest.mark.xdist_group("compared")


@pytest.fixture
def runs(trained, tmp_path):
    """`a` in seed 0, `b` in seed 1."""
    for name, source in (("a", "a0"), ("b", "b1")):
        shutil.copytree(trained / source, tmp_path / name)
    return tmp_path


def groups(folder, *names):
    return groups_of([RunFolder(folder / name) for name in names])


def test_what_is_there_counts_first_and_the_rest_is_named_by_run_and_seed(runs):
    missing = [(one.group.name, one.seed, one.run.name) for one in missing_seeds(groups(runs, "a", "b"), 2)]
    assert missing == [("b", 0, "b-seed-0"), ("a", 1, "a-seed-1")]
    assert [one.seed for one in missing_seeds(groups(runs, "a", "b"), 3)] == [0, 1, 2, 2]
    (runs / "a-seed-1").mkdir()
    (runs / "a-seed-1" / "lock").touch()  # of a start that a kill ended at once: the name is free
    assert missing_seeds(groups(runs, "a", "b"), 2)[1].run.name == "a-seed-1"
    (runs / "a-seed-1" / "letters.txt").touch()
    assert missing_seeds(groups(runs, "a", "b"), 2)[1].run.name == "a-seed-1-2"


def test_seeds_are_trained_by_the_command_interrupted_gone_on_with_and_found_again(runs, capsys, monkeypatch):
    @contextmanager
    def interrupting(json_mode):
        yield lambda row: signal.raise_signal(signal.SIGINT) if isinstance(row, TrainRow) and row.step == 4 else None

    asked = ["compare", str(runs / "a"), str(runs / "b"), "--seeds", "2"]
    with monkeypatch.context() as patched:
        patched.setattr("chainrule.panel.make_watch", interrupting)
        assert main(asked) == 130
    said = capsys.readouterr().err
    assert "2 runs are missing" in said and f"to go on: chainrule {' '.join(asked)}" in said
    assert main([*asked, "--json"]) == 0
    out, err = capsys.readouterr()
    assert "going on with 1 of 2" in err and "training 2 of 2" in err
    told = json.loads(out)
    assert [[one["seed"] for one in run["seeds"]] for run in told["runs"]] == [[0, 1], [1, 0]]
    assert told["judged"][0]["pairs"] == 2 and (runs / "compare-a-b.html").is_file()
    assert main([*asked, "--json"]) == 0
    out, err = capsys.readouterr()
    assert "missing" not in err and json.loads(out)["judged"] == told["judged"]


def test_a_seed_trained_later_is_the_run_that_it_would_have_been(trained, runs):
    (missing,) = [one for one in missing_seeds(groups(runs, "a", "b"), 2) if one.group.name == "a"]
    again = train_seed(missing)
    straight = json.loads((trained / "a1" / "summary.json").read_text())
    assert again.val_bits_per_byte == straight["val_bits_per_byte"]


def test_what_cannot_be_trained_is_refused(runs):
    for number in (0, 99):
        with pytest.raises(ConfigError, match=f"--seeds {number}"):
            missing_seeds(groups(runs, "a", "b"), number)
    (runs / "b" / "summary.json").unlink()
    with pytest.raises(RunError, match=r"b has not finished .* --resume"):
        missing_seeds(groups(runs, "a", "b"), 2)
    assert main(["compare", str(runs / "a")]) == 2


def test_seeds_without_room_for_their_checkpoints_are_refused_before_the_first_is_trained(runs, tmp_path, capsys):
    disk = SmallDisk(tmp_path / "disk", 16 << 20)
    try:
        for name in ("a", "b"):
            shutil.copytree(runs / name, disk.folder / name)
        (one,) = [one for one in missing_seeds(groups(disk.folder, "a", "b"), 2) if one.group.name == "a"]
        size = checkpoint_bytes(one.config)
        disk.leave(FLOOR_BYTES + 2 * size)  # of each of the two runs one stays, and the next is there before it goes
        asked = ["compare", str(disk.folder / "a"), str(disk.folder / "b"), "--seeds", "2"]
        assert main(asked) == 2
        said = capsys.readouterr().err
        assert "are needed for the checkpoints of 2 runs" in said and "--seeds" in said and "Traceback" not in said
        assert sorted(path.name for path in disk.folder.iterdir()) == ["a", "b", "others.bin"]
        disk.leave(12 << 20)
        assert main(asked) == 0
    finally:
        disk.close()
