"""`chainrule lens verify`: on a demo, on a run, on the user's own code; exit codes 0, 1 and 2."""

import json

import pytest
import torch

from chainrule.cli import main

pytestmark = pytest.mark.xdist_group("trained")

FAULTY = """
import torch

class Bent(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return x * 2

    @staticmethod
    def backward(ctx, g):
        return g * 2.002

class Model(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = torch.nn.Linear(3, 1)

    def forward(self, x):
        return Bent.apply(self.linear(x)).square().sum()

def make_model():
    return Model(), (torch.ones(2, 3),)

def failing():
    return Model(), (torch.ones(2, 4),)

def on_a_gpu():
    return (lambda x: Model()(x.to("cuda"))), (torch.ones(2, 3),)

def without_a_loss():
    return torch.nn.Linear(3, 2), (torch.ones(2, 3),)
"""


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def verified(capsys, code, *arguments):
    assert main(["lens", "verify", *map(str, arguments)]) == code
    seen = capsys.readouterr()
    return seen.out if code < 2 else seen.err.splitlines()[-1]


@pytest.fixture
def faulty(tmp_path):
    path = tmp_path / "own.py"
    path.write_text(FAULTY)
    return path


@pytest.mark.parametrize("demo", ["network", "gpt"])
def test_a_demo_is_proved(capsys, demo):
    out = verified(capsys, 0, demo, "--coordinates", "4")
    assert "✓" in out
    assert "proved" in out
    assert max(map(len, out.splitlines())) <= 100


def test_a_run_is_proved_on_its_own_text(capsys, runs_folder):
    out = verified(capsys, 0, runs_folder / "first", "--coordinates", "3", "--json")
    content = json.loads(out)
    assert content["ok"]
    assert content["verdict"] == "proved"
    assert len(content["numbers"]["checks"]) == 3 + 3
    assert max(one["error"] for one in content["parameters"]) <= 1e-13


def test_a_step_of_a_run_is_held_against_float64_in_its_own_precision(capsys, runs_folder):
    content = json.loads(verified(capsys, 0, runs_folder / "first", "--step", "--json"))
    assert content["against"] == ["step", "rules"]
    assert any("float32" in one for one in content["segments"])
    assert "a step as it ran on cpu" in verified(capsys, 0, "gpt", "--step")


def test_a_fault_is_named_with_its_lines_and_the_exit_code_is_one(capsys, faulty):
    out = verified(capsys, 1, f"{faulty}:make_model")
    assert "custom Function  Bent, its backward at " in out
    assert "own.py:10" in out
    assert "return x * 2" in out
    assert "The numbers prove the rules right." in out
    content = json.loads(verified(capsys, 1, f"{faulty}:make_model", "--json"))
    assert content["place"]["function"] == "Bent"


def test_the_example_of_the_page_is_found(capsys):
    out = verified(capsys, 1, "examples/lens_fault.py:make_model", "--coordinates", "4")
    assert "custom Function  FusedLayerNorm" in out


def test_what_cannot_be_verified_is_refused_with_its_reason(capsys, faulty):
    assert "scalar loss" in verified(capsys, 2, f"{faulty}:without_a_loss")
    assert "own.py:19" in verified(capsys, 2, f"{faulty}:failing")
    assert "is no demo, run or preset" in verified(capsys, 2, "neurom")
    assert "no time" in verified(capsys, 2, "neuron", "--seconds", "0")
    assert "device that is not here" in verified(capsys, 2, f"{faulty}:on_a_gpu")
