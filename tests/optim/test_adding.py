"""To add an optimizer: a file in `optim`, its line in the dict, its row in `config`; nothing else knows its name."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import chainrule

SIGNS = '''"""Signs of the gradient move the weights (a toy)."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import torch
from torch import nn

from chainrule.config import Config
from chainrule.optim.portions import portions


class Moving(torch.optim.Optimizer):
    def __init__(self, groups: list[dict], lr: float) -> None:
        super().__init__(groups, {"lr": lr})

    @torch.no_grad()
    def step(self, closure=None) -> None:
        for group in self.param_groups:
            for parameter in group["params"]:
                state = self.state[parameter]
                state["steps"] = state.get("steps", torch.zeros(())) + 1
                parameter.sub_(parameter.grad.sign(), alpha=group["lr"])


@dataclass(frozen=True)
class Signs:
    lr: float

    @classmethod
    def of(cls, config: Config) -> "Signs":
        return cls(config.optimizer.lr)

    def parts(self, parameters: Mapping[str, nn.Parameter], dtype: torch.dtype) -> Iterator[torch.optim.Optimizer]:
        for portion in portions({"all": list(parameters.values())}):
            yield Moving([{"params": portion["all"], "peak": self.lr}], self.lr)
'''
TINY = """
[model]
vocab_size = 257
context_length = 16
emb_dim = 16
n_heads = 2
n_layers = 1
[vocabulary]
kind = "bytes"
[text]
paths = ["text.txt"]
[optimizer]
kind = "signs"
lr = 0.003
[training]
steps = 2
batch_tokens = 64
sample_tokens = 4
[machine]
device = "cpu"
threads = 1
"""
# A file of the package, what stands there, and what stands there afterwards.
LINES = (
    (
        "optim/build.py",
        '{"adamw": AdamW.of, "muon": MuonForMatrices.of}',
        '{"adamw": AdamW.of, "muon": MuonForMatrices.of, "signs": Signs.of}',
    ),
    (
        "optim/build.py",
        "from chainrule.optim.muon import MuonForMatrices\n",
        "from chainrule.optim.muon import MuonForMatrices\nfrom chainrule.optim.signs import Signs\n",
    ),
    (
        "config/optimizers.py",
        '    "adamw": OptimizerRow',
        '    "signs": OptimizerRow(("lr",), matrix_bytes=0, other_bytes=0),\n    "adamw": OptimizerRow',
    ),
)


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a copy of the package that has one optimizer more, and of a text."""
    folder = tmp_path_factory.mktemp("with-signs")
    source, copy = Path(chainrule.__file__).parent, folder / "chainrule"
    shutil.copytree(source, copy)  # with its bytecode, which holds for what is not changed
    (copy / "optim" / "signs.py").write_text(SIGNS)
    for name, before, after in LINES:
        content = (copy / name).read_text(encoding="utf-8")
        assert content.count(before) == 1, f"{name} no longer has {before!r}"
        (copy / name).write_text(content.replace(before, after), encoding="utf-8")
    lines = (f"the {number} old men and the sea went home before storm {number}\n" for number in range(200))
    (folder / "text.txt").write_text("".join(lines))
    (folder / "tiny.toml").write_text(TINY)
    return folder


def ask(package: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Runs a command of the copied package."""
    environment = {**os.environ, "PYTHONPATH": str(package), "COLUMNS": "200"}
    command = [sys.executable, "-m", "chainrule", *words]
    return subprocess.run(command, cwd=package, env=environment, capture_output=True, text=True)


def test_an_optimizer_of_one_file_one_line_and_one_row_is_planned_trained_and_resumed(package: Path) -> None:
    first = ask(package, "pretrain", "--config", "tiny.toml", "--run", "run")
    assert first.returncode == 0, first.stdout + first.stderr
    assert 'kind = "signs"' in (package / "runs" / "run" / "config.toml").read_text(encoding="utf-8")
    more = ask(package, "pretrain", "--resume", "runs/run", "--training.steps", "4")
    assert more.returncode == 0, more.stdout + more.stderr


def test_its_name_is_offered_and_a_slip_of_it_is_set_right(package: Path) -> None:
    assert "choices: signs, adamw, muon" in ask(package, "pretrain", "--help").stdout
    slip = ask(package, "pretrain", "text.txt", "--optimizer.kind", "sign")
    assert slip.returncode == 2
    assert "input should be 'signs', 'adamw' or 'muon'. Did you mean 'signs'?" in slip.stderr
