"""A text and settings small enough that a whole run takes a second."""

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import short_texts  # noqa: F401
import torch

from chainrule.config import Layer

WORDS = [
    "the",
    "sea",
    "and",
    "old",
    "man",
    "said",
    "that",
    "we",
    "were",
    "going",
    "home",
    "before",
    "a",
    "storm",
    "came",
]

TINY: dict[str, dict[str, Any]] = {
    "model": {"vocab_size": 257, "context_length": 16, "emb_dim": 16, "n_heads": 2, "n_layers": 2, "drop_rate": 0.1},
    "vocabulary": {"kind": "bytes"},
    "optimizer": {"kind": "muon", "lr": 1e-2},
    "training": {
        "steps": 12,
        "batch_tokens": 64,
        "eval_every": 4,
        "eval_tokens": 64,
        "sample_every": 6,
        "sample_tokens": 4,
        "save_every": 4,
        "prompts": ["the "],
    },
    "machine": {"device": "cpu", "precision": "float32", "threads": 1},
}


@pytest.fixture(scope="session")
def texts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("texts")
    chance = random.Random(0)
    for number in range(40):
        words = " ".join(chance.choice(WORDS) for _ in range(60))
        (folder / f"{number:02}.txt").write_text(words + "\n")
    return folder


@pytest.fixture(scope="session")
def layers(texts: Path) -> Callable[..., list[Layer]]:
    """Settings of a tiny run; keyword arguments such as training={"steps": 4} go on top."""

    def make(**over: dict[str, Any]) -> list[Layer]:
        return [
            Layer("tiny", TINY),
            Layer("text", {"text": {"paths": [str(texts)], "near_duplicates": "keep"}}),
            Layer("test", over),
        ]

    return make


@pytest.fixture(autouse=True)
def _threads_as_before():
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)
