"""A base model that nobody trained, as a run folder; examples with closed answers; a template."""

import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from chainrule.checkpoint import save_checkpoint
from chainrule.config import Config, ModelConfig, to_toml
from chainrule.finetune.grow import with_own_template
from chainrule.model import GPT
from chainrule.run import RunFolder
from chainrule.tokenizer import ChatTemplate, Tokenizer
from chainrule.tokenizer.train import byte_tokenizer

MODERN = {"norm": "rmsnorm", "position": "rope", "activation": "swiglu", "bias": False, "qk_norm": True}
SHAPE = {"vocab_size": 257, "context_length": 96, "emb_dim": 48, "n_heads": 4, "n_layers": 2, "drop_rate": 0.0}
COLOURS = ("red", "blue", "green")


@pytest.fixture(scope="session")
def words() -> tuple[Tokenizer, ChatTemplate]:
    return with_own_template(byte_tokenizer())


@pytest.fixture(scope="session")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run folder with a checkpoint of random weights."""
    return make_base(tmp_path_factory.mktemp("runs") / "base")


def make_base(folder: Path, *, loud: float = 1.0, **more: Any) -> Path:
    """`loud` multiplies the embeddings, whose words are otherwise too much alike for a head that stays as it is."""
    run = RunFolder(folder)
    run.path.mkdir(parents=True)
    config = Config(model=ModelConfig(**{**SHAPE, **MODERN, **more}))
    run.config.write_text(to_toml(config))
    byte_tokenizer().save(run.tokenizer)
    torch.manual_seed(0)
    state = GPT(config.model).state_dict()
    state["token_embedding.weight"] *= loud
    save_checkpoint(run.checkpoints, 1, {"model": state}, {}, [run.config, run.tokenizer])
    return run.path


@pytest.fixture
def closed(tmp_path: Path) -> Path:
    """Sixty questions with one word as the answer."""
    chance = random.Random(0)
    rows = []
    for number in range(60):
        colour = chance.choice(COLOURS)
        rows.append({"prompt": f"say {colour} {number}", "completion": colour})
    return write(tmp_path / "closed.jsonl", rows)


def write(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


@pytest.fixture
def rows_file(tmp_path: Path) -> Callable[..., Path]:
    def make(*rows: dict[str, Any], name: str = "rows.jsonl") -> Path:
        return write(tmp_path / name, list(rows))

    return make
