"""`chainrule lens ledger`: on a demo, on a run, on the user's own code."""

import json
import re

import pytest

from chainrule.cli import main

pytestmark = pytest.mark.xdist_group("trained")


def told(capsys, *arguments):
    assert main(["lens", "ledger", *map(str, arguments)]) == 0
    return capsys.readouterr().out


def refused(capsys, *arguments):
    assert main(["lens", "ledger", *map(str, arguments)]) == 2
    seen = capsys.readouterr()
    assert not seen.out
    return seen.err.splitlines()[-1]


def test_the_neuron_is_told_line_by_line(capsys):
    out = told(capsys, "neuron")
    assert "3  a = sigmoid(z)    0.918340  ∂a/∂z = a(1 − a)               -1.088922  z: -0.081660" in out


def test_a_runs_weight_is_followed_from_the_loss_of_its_own_text(runs_folder, capsys):
    arguments = (runs_folder / "first", "--weight", "blocks.0.attention.qkv", "--coordinate", "3,7")
    out = told(capsys, *arguments)
    assert out.startswith("blocks.0.attention.qkv.weight[3, 7] = ")
    facts = json.loads(told(capsys, *arguments, "--json"))
    assert f"= {facts['coordinate']['gradient']:.8g}\n" in out
    assert facts["coordinate"]["index"] == [3, 7]
    assert facts["gradients"]["blocks.0.attention.qkv.weight"]["shape"] == [96, 32]


def test_the_loss_of_a_runs_windows_is_what_the_model_says(runs_folder, capsys):
    """The windows are those of the run's own shuffle: a trained model is less surprised than by random tokens."""
    narrow = json.loads(told(capsys, runs_folder / "first", "--json"))["loss"]
    wide = json.loads(told(capsys, runs_folder / "first", "--json", "--double"))["loss"]
    assert narrow == pytest.approx(wide, rel=1e-5) and wide < 5.7  # ln 300


def test_a_checkpoint_and_another_window_of_the_run(runs_folder, capsys):
    checkpoint = max((runs_folder / "first" / "checkpoints").glob("step-*"))
    first, second = (json.loads(told(capsys, checkpoint, "--json", "--seed", seed))["loss"] for seed in (0, 1))
    assert first != second


def test_a_module_alone_and_the_depth(capsys):
    out = told(capsys, "gpt", "--module", "blocks.0.attention")
    assert "attention(q, k, v)" in out and "feed_forward" not in out
    assert len(told(capsys, "gpt", "--depth", "1").splitlines()) < 15
    assert len(told(capsys, "gpt", "--depth", "0").splitlines()) > 60


def test_core_operations_are_more_and_the_gradients_the_same(capsys):
    by_level = [json.loads(told(capsys, "gpt", "--double", "--level", level, "--json")) for level in ("op", "core")]
    assert len(by_level[1]["rows"]) > len(by_level[0]["rows"])
    norms = [{name: one["norm"] for name, one in facts["gradients"].items()} for facts in by_level]
    assert norms[0] == pytest.approx(norms[1], rel=1e-10)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["gpt", "--weight", "blocks.0.attention.qk"], "Did you mean 'blocks.0.attention.qkv.weight'?"),
        (["gpt", "--weight", "blocks.0.attention.qkv", "--coordinate", "3,700"], "use 0 to 31"),
        (["gpt", "--weight", "blocks.0.attention.qkv", "--coordinate", "3"], "needs 2 numbers"),
        (["gpt", "--weight", "blocks.0.attention.qkv", "--coordinate", "3;7"], "such as 3,7"),
        (["gpt", "--coordinate", "3,7"], "--coordinate needs --weight"),
        (["gpt", "--module", "blocks.9"], "Did you mean 'blocks."),
        (["neurn"], "Did you mean 'neuron'?"),
        (["gpt", "--batch", "0"], "use at least 1"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_a_mistake_is_answered_with_what_is_allowed(arguments, message, capsys):
    assert message in refused(capsys, *arguments)


@pytest.mark.parametrize("ending", ["txt", "json", "html", "svg", "md", "tex"])
def test_the_ledger_goes_into_a_file_of_the_format_that_its_ending_says(ending, tmp_path, capsys):
    file = tmp_path / f"ledger.{ending}"
    assert told(capsys, "neuron", "--out", file).strip() == str(file)
    text = file.read_text(encoding="utf-8")
    beginnings = {
        "txt": "neuron: the loss",
        "json": '{\n  "target"',
        "html": "<!doctype",
        "svg": "<svg",
        "md": "#",
        "tex": "%",
    }
    assert text.startswith(beginnings[ending])


def test_a_setting_that_a_picture_would_not_show_is_refused(tmp_path, capsys):
    page, drawing = tmp_path / "gpt.html", tmp_path / "gpt.svg"
    assert "leave out --module" in refused(capsys, "gpt", "--module", "blocks.0", "--out", page)
    assert "not as svg" in refused(capsys, "neuron", "--weight", "w", "--out", drawing)
    assert "leave out --weight" in refused(capsys, "neuron", "--weight", "w", "--costs")
    assert "leave out --weight" in refused(capsys, "neuron", "--costs", "--out", page)


def test_a_page_of_its_own_with_the_followed_element(tmp_path, capsys):
    page = tmp_path / "neuron.html"
    assert main(["lens", "ledger", "neuron", "--weight", "w", "--out", str(page)]) == 0
    capsys.readouterr()
    text = page.read_text(encoding="utf-8")
    assert "Followed: w = 2.2" in text and "-0.089826281" in text
    assert main(["lens", "graph", "neuron", "--weight", "w", "--out", str(tmp_path / "graph.html")]) == 0
    assert (tmp_path / "graph.html").read_text(encoding="utf-8") != text


def test_costs_are_told_as_a_table_and_as_json(capsys):
    assert main(["lens", "ledger", "network", "--costs"]) == 0
    assert "kept for backward" in capsys.readouterr().out
    assert main(["lens", "ledger", "network", "--costs", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["saved_bytes"] == 48


def test_progress_is_said_on_standard_error(capsys):
    assert main(["lens", "ledger", "network"]) == 0
    seen = capsys.readouterr()
    assert "recording network …" in seen.err and "recording" not in seen.out


def test_lens_has_help_with_examples_everywhere(capsys):
    assert main(["lens", "--help"]) == 0
    assert "chainrule lens demo neuron" in capsys.readouterr().out
    for words in (["ledger"], ["demo", "neuron"], ["demo", "network"], ["demo", "gpt"]):
        assert main(["lens", *words, "--help"]) == 0
        out = re.sub(r"\s+", " ", capsys.readouterr().out.split("Usage:")[1])
        assert out.count(f"chainrule lens {' '.join(words)}") >= 2, words
