"""What the lens is pointed at: everything that a word on the command line can mean."""

import pytest
import torch

from chainrule.base import ChainruleError, LensError
from chainrule.lens.opening import open_subject, recorded

pytestmark = pytest.mark.xdist_group("trained")

OWN = '''"""A user's file."""
import torch
from neighbour import WIDTH
from chainrule.lens import Subject

def make_model():
    return torch.nn.Linear(WIDTH, 2), torch.ones(3, WIDTH), lambda out: out.square().mean()

def scalar():
    model = torch.nn.Linear(WIDTH, 1)
    return (lambda x, y: (model(x) - y).square().sum()), (torch.ones(2, WIDTH), torch.zeros(2, 1))

def named():
    return (lambda x, scale: (x * scale).sum()), {"x": torch.ones(2, requires_grad=True), "scale": 3.0}

ready = Subject("ready", make_model()[0], (torch.ones(1, WIDTH),), lambda out: out.sum())

def subject():
    return ready

def nothing():
    return None

def alone():
    return torch.nn.Linear(1, 1)

def odd_loss():
    return torch.nn.Linear(1, 1), torch.ones(1, 1), 0.5

def fails():
    return torch.ones(2) @ torch.ones(3)

def fails_later():
    return torch.nn.Linear(4, 1), torch.ones(2, 3), lambda out: out.sum()

def on_a_gpu():
    raise AssertionError("Torch not compiled with CUDA enabled")

number = 3
'''


@pytest.fixture(scope="module")
def own(tmp_path_factory):
    folder = tmp_path_factory.mktemp("own")
    (folder / "own.py").write_text(OWN)
    (folder / "neighbour.py").write_text("WIDTH = 4\n")
    (folder / "broken.py").write_text("import torch\n\ndef f(:\n")
    (folder / "missing.py").write_text("\n\nimport no_such_package_anywhere\n")
    return folder


@pytest.mark.parametrize("name", ["make_model", "scalar", "named", "ready", "subject"])
def test_whatever_a_function_of_the_user_may_return_can_be_recorded(own, name):
    tape = recorded(open_subject(f"{own}/own.py:{name}"))
    assert tape.loss is not None and tape.leaves()


@pytest.mark.parametrize("what", ["neuron", "network", "gpt"])
def test_the_demos_are_the_same_each_time(what):
    first, second = (recorded(open_subject(what)) for _ in range(2))
    assert torch.equal(first.values[first.loss].tensor, second.values[second.loss].tensor)


def test_a_preset_has_random_weights_by_the_seed_and_the_tokens_asked_for():
    said: list[str] = []
    subject = open_subject("cpu-tiny", tokens=8, batch=1, say=said.append)
    assert [tuple(ids.shape) for ids in subject.inputs] == [(1, 8), (1, 8)]
    assert "random weights" in said[0]
    same, other = open_subject("cpu-tiny", tokens=8, batch=1), open_subject("cpu-tiny", tokens=8, batch=1, seed=1)
    weights = [one.target.__self__.token_embedding.weight for one in (subject, same, other)]
    assert torch.equal(weights[0], weights[1]) and not torch.equal(weights[0], weights[2])


def test_a_run_brings_windows_of_its_own_text(runs_folder):
    ids, targets = open_subject(str(runs_folder / "first"), batch=3, tokens=16).inputs
    assert ids.shape == targets.shape == (3, 16)
    assert torch.equal(ids[:, 1:], targets[:, :-1])


def test_a_folder_without_text_gets_random_tokens_and_says_so(runs_folder, tmp_path):
    checkpoint = max((runs_folder / "first" / "checkpoints").glob("step-*"))
    moved = tmp_path / "moved"
    moved.mkdir()
    for file in checkpoint.iterdir():
        (moved / file.name).write_bytes(file.read_bytes())
    said: list[str] = []
    assert open_subject(str(moved), tokens=4, say=said.append).inputs[0].shape == (2, 4)
    assert "no text of its own" in said[0]


def test_double_is_float64_everywhere(own):
    subject = open_subject(f"{own}/own.py:make_model", double=True)
    tape = recorded(subject)
    assert {value.meta.dtype for value in tape.values if value.differentiable} == {torch.float64}


@pytest.mark.parametrize(
    ("place", "message"),
    [
        ("own.py:make_modle", "Did you mean 'make_model'?"),
        ("own.py:nothing", r"returned one NoneType; it should return \(model, inputs\)"),
        ("own.py:alone", "returned one Linear; it should return"),
        ("own.py:odd_loss", "returned a loss that is a float, not a function"),
        ("own.py:number", "is not a function but one int"),
        ("own.py:fails", r"own.py:fails failed: RuntimeError: .* at .*own.py:31"),
        ("own.py:on_a_gpu", "the lens works on the CPU"),
        ("broken.py:x", r"broken.py does not import: SyntaxError.*line 3"),
        ("missing.py:x", r"No module named 'no_such_package_anywhere' at .*missing.py:3"),
        ("owm.py:x", "is not a file. Did you mean 'own.py'?"),
    ],
)
def test_what_is_wrong_with_the_users_code_is_said_with_its_line(own, place, message):
    with pytest.raises(LensError, match=message):
        open_subject(f"{own}/{place}")


def test_what_fails_while_it_runs_is_told_with_its_error(own):
    with pytest.raises(LensError, match="failed: RuntimeError: mat1 and mat2 shapes"):
        recorded(open_subject(f"{own}/own.py:fails_later"))


@pytest.mark.parametrize(
    ("what", "message"),
    [
        ("nuron", "Did you mean 'neuron'"),
        ("no_such.module:make", "no_such.module does not import: ModuleNotFoundError"),
        ("runs/a/b", "no run at runs/a/b"),
    ],
)
def test_a_word_that_means_nothing_is_answered_with_what_it_may_mean(what, message):
    with pytest.raises(ChainruleError, match=message):
        open_subject(what)


def test_a_file_called_like_a_module_of_python_does_not_stand_in_for_it(own, tmp_path):
    (tmp_path / "random.py").write_text(
        "import torch\ndef make():\n    return torch.nn.Linear(1, 1), torch.ones(1, 1)\n"
    )
    import random

    open_subject(f"{tmp_path}/random.py:make")
    import random as again

    assert again is random
