"""benchmarks/gpu.py on a CPU, in small: the same path beside a peer."""

import importlib.util
import json
import sys
from dataclasses import asdict, replace
from pathlib import Path

import pytest
import torch

from chainrule.bench.sizes import drawn_windows, text_ids

SCRIPT = Path(__file__).resolve().parents[2] / "benchmarks" / "gpu.py"


@pytest.fixture
def gpu(monkeypatch):
    """The script as a module."""
    spec = importlib.util.spec_from_file_location("gpu", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "gpu", module)
    spec.loader.exec_module(module)
    return module


def told_of(gpu, text, peer, precision="float32", **more):
    size = replace(gpu.TINY, batch=4, **more)
    return gpu.Told(gpu.OURS, asdict(size), 2, str(text), "cpu", precision, "off", str(peer)), size


def read_here(gpu, told, size, make):
    ids, _ = text_ids(Path(told.text))
    return gpu.timed(make(told, size), drawn_windows(ids, size), size, "cpu")


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_both_sides_make_the_same_losses_from_the_same_weights(gpu, text, peer, precision):
    told, size = told_of(gpu, text, peer, precision)
    ours, theirs = (read_here(gpu, told, size, make) for make in (gpu.our_update, gpu.their_update))
    assert len(ours.losses) == size.steps and ours.losses[-1] < ours.losses[0] - 0.05 and ours.figure > 0
    *_, said = gpu.verdicts({gpu.THEIRS: [theirs], gpu.OURS: [ours]}, precision)
    apart = max(abs(one - other) for one, other in zip(ours.losses, theirs.losses, strict=True))
    assert apart < (1e-3 if precision == "float32" else 2e-2)
    assert ("they agree" in said) == (precision == "float32")
    late = replace(ours, losses=(*ours.losses[:-1], ours.losses[-1] + 0.01))
    assert "DO NOT AGREE" in [*gpu.verdicts({gpu.THEIRS: [theirs], gpu.OURS: [late]}, "float32")][-1]


def test_a_side_is_a_process_and_a_compiled_step_has_the_losses_of_the_other(gpu, text, peer):
    """The compiler is torch's, with a backend that makes no code."""
    told, size = told_of(gpu, text, peer, steps=2, warm=1)
    plain = read_here(gpu, told, size, gpu.our_update)
    compiled = gpu.read(replace(told, compile="eager"), 1)
    assert compiled.losses == pytest.approx(plain.losses, abs=1e-5)
    assert compiled.peak_bytes is None or compiled.peak_bytes > 2**26


def test_sides_take_turns_and_the_result_is_kept(gpu, text, peer, tmp_path, capsys, monkeypatch):
    """The processes apart, which the test above has one of."""

    def read(told, threads):
        size = gpu.given_size({"size": told.size})
        return read_here(gpu, told, size, {gpu.OURS: gpu.our_update, gpu.THEIRS: gpu.their_update}[told.side])

    monkeypatch.setattr(gpu, "read", read)
    words = ["--device", "cpu", "--tiny", "--compile", "off", "--rounds", "1", "--results", str(tmp_path / "kept")]
    monkeypatch.setattr(sys, "argv", ["gpu.py", *words, "--text", str(text), "--against", f"nanogpt={peer}"])
    gpu.main()
    said = capsys.readouterr().out
    assert "they agree" in said and "600,000" not in said
    (kept,) = (tmp_path / "kept").glob("*/gpu-*.json")
    sides = json.loads(kept.read_text())["contests"][0]["sides"]
    assert [side["name"] for side in sides] == ["nanoGPT", "ours"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--device", "cuda"], "device cuda is not here"),
        (["--device", "cpu", "--against", "nanogpt=/nowhere"], "model.py is not there"),
        (["--device", "cpu", "--warm", "9", "--steps", "9"], "leaves nothing to time"),
    ],
)
def test_what_cannot_be_measured_is_told_in_one_sentence(gpu, words, said, capsys, monkeypatch):
    if "cuda" in words and torch.cuda.is_available():
        pytest.skip("a GPU is here")
    monkeypatch.setattr(sys, "argv", ["gpu.py", *words])
    with pytest.raises(SystemExit, match="2"):
        gpu.main()
    assert said in capsys.readouterr().err


def test_the_bars_are_told_reached_or_not(gpu):
    assert [line.split(": ")[1][:3] for line in gpu.wanted(599_999.0, 1.5)] == ["NOT", "rea"]
    assert len([*gpu.wanted(600_000.0, None)]) == 1
