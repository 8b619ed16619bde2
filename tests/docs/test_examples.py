"""The scripts of examples/ are run as a person runs them, on little text."""

import contextlib
import io
import runpy
from pathlib import Path
from random import Random

import pytest
import torch

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
WORDS = "the tide brings boats and gulls home before the lamps are lit along the quay".split()  # noqa: SIM905
TRIED = {"pretrain_from_python.py", "continue_on_special_text.py", "panel_picture.py"}
TRIED |= {"lens_tensors.py", "lens_neuron.py", "lens_network.py", "lens_gpt.py"}
TRIED |= {"closed_answer_rows.py"}  # the rows of docs/finetune.md, made by tests/finetune/test_page.py
TRIED |= {"lens_compiled.py"}  # the story of docs/lens/check.md, run by tests/lens/prove/test_checking.py
TRIED |= {"lens_fault.py", "lens_hardsigmoid.py"}  # the stories of docs/lens/proof.md, run by test_proof.py

pytestmark = pytest.mark.xdist_group("docs")


def run(script: str, folder: Path, *arguments: str) -> str:
    """What the script prints; run in this process, because starting torch anew takes longer than the example."""
    out, threads = io.StringIO(), torch.get_num_threads()
    with pytest.MonkeyPatch.context() as patched, contextlib.redirect_stdout(out):
        patched.chdir(folder)
        patched.setattr("sys.argv", [script, *arguments])
        runpy.run_path(str(EXAMPLES / script), run_name="__main__")
    torch.set_num_threads(threads)
    return out.getvalue()


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with two texts, and runs/first trained by the first example."""
    folder, chance = tmp_path_factory.mktemp("examples"), Random(0)
    for name, change in (("old", str), ("new", str.upper)):
        (folder / name).mkdir()
        for number in range(30):
            text = change(" ".join(chance.choices(WORDS, k=120)))
            (folder / name / f"{number}.txt").write_text(f"{number}: {text}\n", encoding="utf-8")
    out = run("pretrain_from_python.py", folder, "old/", "--run", "runs/first", "--steps", "4", "--prompt", "the ")
    (folder / "out.txt").write_text(out, encoding="utf-8")
    return folder


def test_the_first_example_goes_from_text_to_a_sample(place):
    lines = (place / "out.txt").read_text(encoding="utf-8").splitlines()
    looks = [line for line in lines if "bits per byte on held-out text" in line]
    assert [int(line.split()[1].rstrip(":")) for line in looks] == [0, 1, 2, 3, 4]
    assert any("parameters:" in line and "seen" in line for line in lines)
    assert any(line.startswith("the ") and len(line) > 20 for line in lines)


def test_the_second_shows_new_and_old_text_before_and_after(place):
    out = run("continue_on_special_text.py", place, "runs/first", "new/", "--steps", "2", "--shares", "0", "0.5")
    rows = out.splitlines()[1:]
    assert [row.split()[0] for row in rows] == ["0%", "50%"]
    assert all(row.count("->") == 2 for row in rows)


def test_the_panel_of_a_run_becomes_a_picture(place):
    run("panel_picture.py", place, "runs/first", "panel.svg")
    assert (place / "panel.svg").read_text(encoding="utf-8").startswith("<svg")


def test_the_lens_looks_at_a_weight_and_at_what_breaks(tmp_path):
    out = run("lens_tensors.py", tmp_path, "page.html")
    assert "weight, rows and rest share one storage" in out and "did you mean x @ w.T" in out
    assert (tmp_path / "page.html").read_text(encoding="utf-8").startswith("<!doctype html>")


def test_one_neuron_under_the_lens_has_its_gradients_three_ways(tmp_path):
    out = run("lens_neuron.py", tmp_path)
    assert "3  a = sigmoid(z)" in out
    for way in ("rules", "autograd", "numbers"):
        assert f"{way}: ∂loss/∂w = -0.08982628100775" in out


def test_a_network_of_ones_own_is_watched_while_it_learns(tmp_path):
    out = run("lens_network.py", tmp_path, "--steps", "100")
    losses = [float(line.split("loss ")[1].split(",")[0]) for line in out.splitlines() if line.startswith("step")]
    assert losses[1] < losses[0] and "t = tanh(h)" in out


def test_a_gpt_is_read_and_verified_random_or_trained(place):
    out = run("lens_gpt.py", place, "--coordinate", "3,7")
    assert "blocks.0.attention.qkv.weight[3, 7]" in out and "the gradients of 26 tensors agree" in out
    assert "tensors agree" in run("lens_gpt.py", place, "runs/first")


def test_every_example_is_tried_here():
    assert {path.name for path in EXAMPLES.glob("*.py")} == TRIED
