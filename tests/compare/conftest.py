"""Tiny runs on one text, trained once: `a` and `b` differ by a rate, `bytes` by its vocabulary."""

import random
from pathlib import Path

import pytest
import short_texts  # noqa: F401

from chainrule.config import Layer
from chainrule.train import pretrain

WORDS = ["the", "sea", "and", "old", "man", "said", "that", "we", "were", "going", "home", "before", "a", "storm"]
TINY = {
    "model": {"vocab_size": 300, "context_length": 16, "emb_dim": 16, "n_heads": 2, "n_layers": 1},
    "optimizer": {"kind": "adamw", "lr": 1e-2},
    "training": {
        "steps": 8,
        "batch_tokens": 64,
        "eval_every": 2,
        "sample_every": 8,
        "sample_tokens": 4,
        "save_every": 8,
        "health_every": 0,
        "prompts": ["the "],
    },
    "machine": {"device": "cpu", "precision": "float32", "threads": 1},
}


@pytest.fixture(scope="session")
def write_text():
    """Writes a folder of text, another one for each seed."""

    def write(folder: Path, seed: int) -> Path:
        chance = random.Random(seed)
        folder.mkdir()
        for number in range(40):
            words = " ".join(chance.choice(WORDS) for _ in range(60))
            (folder / f"{number:02}.txt").write_text(f"{words}\n", encoding="utf-8")
        return folder

    return write


@pytest.fixture(scope="session")
def train(tmp_path_factory, write_text):
    """Trains a tiny run on the text: train(path, training={"seed": 1})."""
    text = write_text(tmp_path_factory.mktemp("text") / "words", 0)

    def run(path: Path, text: Path = text, **over: dict) -> Path:
        words = Layer("text", {"text": {"paths": [str(text)], "near_duplicates": "keep"}})
        pretrain([Layer("tiny", TINY), words, Layer("test", over)], path)
        return path

    return run


@pytest.fixture(scope="session")
def trained(train, tmp_path_factory) -> Path:
    """A folder with the runs `a` and `b` in two seeds each and `bytes` in one; not to be written to."""
    runs = tmp_path_factory.mktemp("runs")
    for seed in (0, 1):
        train(runs / f"a{seed}", training={"seed": seed})
        train(runs / f"b{seed}", training={"seed": seed}, optimizer={"lr": 3e-2})
    train(runs / "bytes", model={"vocab_size": 257}, vocabulary={"kind": "bytes"})
    return runs
