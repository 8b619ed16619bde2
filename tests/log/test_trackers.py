"""The trackers themselves, where they are installed: what was told is read back with their own readers."""

import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from importlib.util import find_spec
from pathlib import Path

import pytest
from dashboard.made import make_run

from chainrule.base import ConfigError, MissingPackageError
from chainrule.cli import main
from chainrule.log import check_tracker, trackers
from chainrule.log.trackers import TRACKERS


def told(run: Path, tracker: str, **variables: str) -> None:
    """In a process of its own, as a person does it; nothing may be asked of any network."""
    command = [sys.executable, "-m", "chainrule", "log", str(run), "--to", tracker]
    offline = {"HF_HUB_OFFLINE": "1", "HOME": str(run.parent), **variables}
    done = subprocess.run(command, capture_output=True, text=True, encoding="utf-8", env={**os.environ, **offline})
    assert done.returncode == 0 and "Traceback" not in done.stderr, done.stderr


def test_tensorboard_reads_scalars_and_texts(tmp_path: Path) -> None:
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    run = make_run(tmp_path / "runs" / "one", steps=40)
    told(run.path, "tensorboard")
    found = accumulator.EventAccumulator(str(tmp_path / "runs" / ".logs" / "tensorboard" / "one")).Reload()
    assert [one.step for one in found.Scalars("train/loss")] == list(range(1, 41))
    assert {"held_out/bits_per_byte", "train/lr", "speed/tokens_per_second"} <= set(found.Tags()["scalars"])
    text = found.Tensors("samples/The king")[0].tensor_proto.string_val[0].decode()
    assert text.startswith("The king")


def test_trackio_reads_its_rows(tmp_path: Path) -> None:
    pytest.importorskip("trackio")
    run = make_run(tmp_path / "runs" / "one", steps=40)
    told(run.path, "trackio", TRACKIO_DIR=str(tmp_path / "trackio"))
    (found,) = (tmp_path / "trackio").rglob("*.db")
    with closing(sqlite3.connect(found)) as database:
        rows = database.execute("select step, metrics from metrics order by id").fetchall()
    assert [step for step, values in rows if b"train/loss" in bytes(str(values), "utf-8")] == list(range(1, 41))


@pytest.mark.slow
def test_wandb_keeps_its_run_offline(tmp_path: Path) -> None:
    pytest.importorskip("wandb")
    run = make_run(tmp_path / "runs" / "one", steps=40)
    told(run.path, "wandb")
    assert list((tmp_path / "runs" / ".logs" / "wandb").rglob("*.wandb"))


def test_a_word_that_is_no_tracker_and_a_package_that_is_not_there_are_told(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(ConfigError, match=r"'tensorbord' is no tracker; .*'tensorboard'"):
        check_tracker("tensorbord")
    monkeypatch.setattr(trackers, "find_spec", lambda name: None)
    for name in TRACKERS:
        with pytest.raises(MissingPackageError, match=rf"pip install 'chainrule\[{name}\]'"):
            check_tracker(name)
    # Before anything is begun.
    (tmp_path / "a.txt").write_text("some text\n" * 100)
    asked = ["pretrain", str(tmp_path / "a.txt"), "--runs-folder", str(tmp_path / "runs"), "--log-to", "wandb"]
    assert main(asked) == 2
    assert "chainrule[wandb]" in capsys.readouterr().err and not (tmp_path / "runs").exists()


def test_the_packages_are_imported_only_where_they_are_asked_for() -> None:
    script = "import sys, chainrule.log.trackers as log; sys.exit(bool({'torch', *log.TRACKERS} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", script]).returncode == 0
    assert find_spec("chainrule.log") is not None
