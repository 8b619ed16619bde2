"""`chainrule lens check`: a step in each way, with exit codes 0, 1, 2 and 3."""

import json

import pytest

from chainrule.cli import main

MODEL = """
import torch

class Bent(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return x * 2

    @staticmethod
    def backward(ctx, g):
        return g * 2.02

def made(middle):
    torch.manual_seed(0)
    first, last = torch.nn.Linear(3, 4), torch.nn.Linear(4, 1)
    return torch.nn.Sequential(first, middle, last), (torch.randn(8, 3),), lambda y: y.square().mean()

class Layer(torch.nn.Module):
    def forward(self, x):
        return Bent.apply(x)

def right():
    return made(torch.nn.Tanh())

def wrong():
    return made(Layer())

def failing():
    return torch.nn.Linear(3, 1), (torch.ones(2, 4),), lambda y: y.mean()
"""


@pytest.fixture
def module(tmp_path):
    path = tmp_path / "mine.py"
    path.write_text(MODEL, encoding="utf-8")
    return path


def checked(capsys, code, *arguments):
    assert main(["lens", "check", *map(str, arguments)]) == code
    return capsys.readouterr()


def test_right_steps_exit_with_0_and_wrong_ones_with_1(capsys, module):
    ways = ("--way", "eager", "--way", "bfloat16")
    seen = checked(capsys, 0, f"{module}:right", *ways)
    assert "✓ proved" in seen.out
    assert "bfloat16: one step under autocast to bfloat16" in seen.err
    seen = checked(capsys, 1, f"{module}:wrong", *ways)
    assert "✗ wrong: 0.weight is" in seen.out or "✗ wrong: 0.bias is" in seen.out
    facts = json.loads(checked(capsys, 1, f"{module}:wrong", "--json", "--way", "eager").out)
    assert facts["ways"][0]["wrong"][0].startswith("0.")


def test_the_small_gpt_is_right(capsys):
    assert "✓ proved" in checked(capsys, 0, "gpt", "--way", "eager").out


def test_mistakes_are_told_in_one_line(capsys, module):
    for code, words, said in (
        (2, (f"{module}:failing",), "mat1 and mat2"),
        (2, (f"{module}:right", "--way", "compile"), "Did you mean 'compiled'"),
        (2, (f"{module}:right", "--seconds", "0"), "no time"),
    ):
        assert said in checked(capsys, code, *words).err.splitlines()[-1]
