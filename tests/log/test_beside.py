"""A tracker beside a training: real processes, with a package that works, fails, hangs or ends itself."""

import textwrap
from pathlib import Path

import pytest
from dashboard.made import add_rows, make_run, train_rows

from chainrule.cli import main
from chainrule.log import beside, logged_beside
from chainrule.run import RunFolder

# Stands for the package wandb; what it is told it writes to a file beside itself.
WORKS = """
    import pathlib
    class Settings:
        def __init__(self, **settings): pass
    class Run:
        def log(self, values, step):
            with (pathlib.Path(__file__).parent / "told").open("a") as stream:
                print(step, *values, file=stream)
        def finish(self): pass
    def init(**settings): return Run()
"""
FAILS = WORKS + "    def init(**settings): raise ValueError('no such <account>')\n"
DIES = WORKS + "    def init(**settings): import os; print('x' * 10**6); os.abort()\n"
HANGS = WORKS + "    def init(**settings): import time; time.sleep(600)\n"


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Makes the package that will be found here and in child processes."""

    def make(code: str) -> Path:
        folder = tmp_path / "packages"
        folder.mkdir()
        (folder / "wandb.py").write_text(textwrap.dedent(code))
        monkeypatch.syspath_prepend(str(folder))
        here = Path(__file__).resolve().parents[2]
        monkeypatch.setenv("PYTHONPATH", f"{folder}:{here}")
        return folder / "told"

    return make


def test_it_hears_of_every_row_that_is_written_meanwhile(package, tmp_path: Path) -> None:
    told, said, run = package(WORKS), list[str](), RunFolder(tmp_path / "runs" / "one")
    with logged_beside(run, ("wandb",), said.append):
        make_run(run.path, steps=30, done=10, running=True)
        add_rows(run, train_rows(range(11, 31), 30))
    assert said == []
    lines = told.read_text().splitlines()
    assert [line.split()[0] for line in lines if "train/loss" in line] == [str(step) for step in range(1, 31)]


@pytest.mark.parametrize(
    ("code", "why"),
    [(FAILS, "no such <account>"), (DIES, ""), (HANGS, "has not ended")],
    ids=["fails", "dies", "hangs"],
)
def test_what_goes_wrong_with_it_is_said_once_and_is_nothing_to_the_training(
    package, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: str, why: str
) -> None:
    package(code)
    monkeypatch.setattr(beside, "END_SECONDS", 2.0)
    said, run = list[str](), RunFolder(tmp_path / "runs" / "one")
    with logged_beside(run, ("wandb",), said.append):
        make_run(run.path, steps=30, done=10, running=True)
        add_rows(run, train_rows(range(11, 31), 30))
    assert len(said) == 1 and why in said[0] and f"chainrule log {run.path} --to wandb" in said[0]


def test_a_start_that_fails_leaves_no_process_and_no_log(package, tmp_path: Path) -> None:
    told, said = package(WORKS), list[str]()
    with pytest.raises(RuntimeError), logged_beside(RunFolder(tmp_path / "runs" / "one"), ("wandb",), said.append):
        raise RuntimeError("no text")
    assert said == [] and not told.exists()


def test_a_training_is_told_by_its_own_option(package, tmp_path: Path) -> None:
    told = package(WORKS)
    (tmp_path / "text.txt").write_text(
        "".join(f"Story {n}: the {n % 7} foxes met {n * 3 % 11} dogs.\n" for n in range(300))
    )
    sizes = "--model.context-length 32 --model.emb-dim 16 --model.n-heads 2 --model.n-layers 1 --vocabulary.kind bytes"
    steps = "--training.steps 4 --training.eval-every 2 --training.batch-tokens 64 --training.eval-tokens 64"
    small = "--training.sample-tokens 2 --machine.threads 1 --machine.precision float32 --log-to wandb"
    asked = f"pretrain {tmp_path / 'text.txt'} --name tale --runs-folder {tmp_path / 'runs'} {sizes} {steps} {small}"
    assert main(asked.split()) == 0
    assert {"train/loss", "held_out/loss"} <= set(told.read_text().split())
