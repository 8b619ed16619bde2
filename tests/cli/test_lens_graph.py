"""`chainrule lens graph`: every format, by its ending, on demos and on the user's own code."""

import json
import re
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from chainrule.cli import main
from chainrule.lens.draw.plain import STEPS

DOCS = Path(__file__).resolve().parents[2] / "docs" / "lens"

MODEL = """
import torch
from torch import nn

class Wrong(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return x * 3

    @staticmethod
    def backward(ctx, g):
        return g * 3.003

def wrong():
    layer = nn.Linear(3, 1)
    return (lambda x: Wrong.apply(layer(x)).sum()), torch.ones(2, 3)

@torch.library.custom_op("test_lens_graph::cubed", mutates_args=())
def cubed(x: torch.Tensor) -> torch.Tensor:
    return x**3

def keep(ctx, inputs, output):
    ctx.save_for_backward(*inputs)

cubed.register_autograd(lambda ctx, g: g * 3 * ctx.saved_tensors[0] ** 2, setup_context=keep)

def without_a_rule():
    return (lambda x: cubed(x).sum()), torch.eye(3).requires_grad_()

def without_a_loss():
    return nn.Linear(3, 2), torch.ones(2, 3)
"""


@pytest.fixture
def mine(tmp_path):
    path = tmp_path / "mine.py"
    path.write_text(MODEL)
    return path


def graph(capsys, *arguments, code=0):
    assert main(["lens", "graph", *map(str, arguments)]) == code
    return capsys.readouterr()


def test_on_the_terminal_it_is_a_tree(capsys):
    out = graph(capsys, "neuron").out
    assert "a = sigmoid(z)" in out and "−0.08983" in out
    assert max(map(len, out.splitlines())) <= 100


def test_the_ending_says_the_format(capsys, tmp_path):
    starts = {
        "html": "<!doctype html>",
        "svg": "<svg",
        "json": '{\n "schema": 1',
        "md": "# neuron",
        "tex": "% neuron",
        "txt": "neuron",
    }
    for ending, start in starts.items():
        path = tmp_path / f"graph.{ending}"
        assert graph(capsys, "neuron", "--out", path).out.strip() == str(path)
        assert path.read_text(encoding="utf-8").startswith(start)


def test_a_format_goes_to_standard_output(capsys):
    content = json.loads(graph(capsys, "network", "--format", "json").out)
    assert {box["path"] for box in content["boxes"]} == {"", "hidden", "out"}
    ET.fromstring(graph(capsys, "network", "--format", "svg", "--depth", "1").out)


def test_more_depth_shows_more(capsys):
    sizes = [len(graph(capsys, "network", "--depth", depth).out) for depth in (0, 1)]
    assert sizes == sorted(set(sizes))


def test_core_operations_are_more_and_simpler(capsys):
    core, op = (graph(capsys, "network", "--level", level).out for level in ("core", "op"))
    assert core.count("\n") > op.count("\n")


def test_a_wrong_gradient_is_marked_after_verifying(capsys, mine, tmp_path):
    path = tmp_path / "graph.json"
    graph(capsys, f"{mine}:wrong", "--verify", "--out", path)
    content = json.loads(path.read_text(encoding="utf-8"))
    assert content["verdict"] == "wrong"
    assert content["ops"][content["suspect"]]["op"] == "mul.Tensor"


def test_what_cannot_be_differentiated_can_be_looked_at(capsys, mine):
    assert "no rule" in graph(capsys, f"{mine}:without_a_rule", code=2).err
    assert "cubed" in graph(capsys, f"{mine}:without_a_rule", "--no-backward").out
    assert "cubed" in graph(capsys, f"{mine}:without_a_rule", "--fallback").out
    assert "scalar loss" in graph(capsys, f"{mine}:without_a_loss", code=2).err
    assert "addmm" in graph(capsys, f"{mine}:without_a_loss", "--no-backward").out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--out", "graph.pdf"), "end it in .html"),
        (("--out", "nowhere/graph.svg"), "nowhere is not a folder"),
        (("--format", "md", "--depth", "1"), "does not go with md"),
        (("--depth", "-1"), "0 or more"),
        (("--verify", "--no-backward"), "take one of the two"),
        (("--verify", "--double"), "leave out --double"),
    ],
)
def test_what_would_not_be_honoured_is_refused_before_anything_runs(capsys, arguments, said):
    seen = graph(capsys, "neuron", *arguments, code=2)
    assert said in seen.err and "recording" not in seen.err


def test_the_commands_of_the_guide_run(capsys, mine, tmp_path, monkeypatch):
    """As they stand there, but for the user's own model and run, which here are a small one."""
    monkeypatch.chdir(tmp_path)
    page = (DOCS / "pictures.md").read_text(encoding="utf-8")
    commands = re.findall(r"^chainrule (lens graph .*)$", page, re.M)
    assert len(commands) >= 8
    for command in commands:
        words = command.replace("my_module.py:make_model --verify", "network").replace("runs/NAME", "network").split()
        assert main(words) == 0, command
    for code in re.findall(r"```python\n(.*?)```", page, re.S):
        exec(code, {})
    for picture in re.findall(r"!\[.*?\]\((.*?)\)", page):
        assert (DOCS / picture).stat().st_size < 100_000
    for sentence, *_ in STEPS:
        assert f". {sentence}\n" in page
