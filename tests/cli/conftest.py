"""One tiny run, trained once for the verbs that look at runs, by the command line itself."""

import random
from pathlib import Path

import pytest
import short_texts  # noqa: F401

from chainrule.cli import main

WORDS = [
    "the",
    "quick",
    "brown",
    "fox",
    "jumps",
    "over",
    "a",
    "lazy",
    "dog",
    "and",
    "writes",
    "it",
    "down",
    "in",
    "ink",
]
TINY = [
    *("--model.vocab-size", "300", "--model.context-length", "32", "--model.emb-dim", "32", "--model.n-heads", "2"),
    *("--model.n-layers", "1", "--training.steps", "3", "--training.batch-tokens", "64", "--training.prompts", "the "),
    *("--machine.threads", "1", "--training.sample-tokens", "4", "--machine.precision", "float32"),
]


@pytest.fixture(scope="session")
def tiny() -> list[str]:
    """Options that make a run take a second."""
    return TINY


@pytest.fixture(scope="session")
def texts(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("texts") / "stories"
    folder.mkdir()
    for number in range(30):
        order = random.Random(number).choices(WORDS, k=90)
        (folder / f"{number}.txt").write_text(" ".join([f"Story {number * 37 % 101}:", *order, "."]) + "\n")
    return folder


@pytest.fixture(scope="session")
def runs_folder(tmp_path_factory, texts) -> Path:
    """A folder with one finished run, `first`."""
    folder = tmp_path_factory.mktemp("trained") / "runs"
    assert main(["pretrain", str(texts), "--name", "first", "--runs-folder", str(folder), *TINY]) == 0
    return folder
