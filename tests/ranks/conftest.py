"""A run with prepared text, for several processes to train on."""

from pathlib import Path

import pytest

from chainrule.config import Layer
from chainrule.run import RunFolder
from chainrule.train import pretrain

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
TINY = {
    "model": {
        **{"vocab_size": 257, "context_length": 16, "emb_dim": 32, "n_heads": 4, "n_kv_heads": 2, "n_layers": 2},
        **{"norm": "rmsnorm", "activation": "swiglu", "position": "rope", "qk_norm": True, "hidden_dim": 64},
        **{"drop_rate": 0.0, "bias": False, "qkv_bias": False, "tied_embeddings": True},
    },
    "vocabulary": {"kind": "bytes"},
    "optimizer": {"kind": "adamw", "lr": 1e-2},
    "training": {
        **{"steps": 2, "batch_tokens": 128, "eval_every": 4, "eval_tokens": 64, "sample_every": 6},
        **{"sample_tokens": 4, "save_every": 4, "prompts": ["the "]},
    },
    "machine": {"device": "cpu", "precision": "float32", "threads": 1, "kernels": "off"},
}


@pytest.fixture(scope="session")
def texts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("texts")
    for number in range(40):
        words = " ".join(WORDS[(number * number + place * (number + 3)) % len(WORDS)] for place in range(60))
        (folder / f"{number:02}.txt").write_text(words + "\n")
    return folder


@pytest.fixture(scope="session")
def run(texts: Path, tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    """A run of two steps in one process, for its text and its settings."""
    folder = tmp_path_factory.mktemp("runs") / "alone"
    text = Layer("text", {"text": {"paths": [str(texts)], "near_duplicates": "keep"}})
    pretrain([Layer("tiny", TINY), text], folder)
    return RunFolder(folder)
