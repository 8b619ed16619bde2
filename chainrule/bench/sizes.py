"""The models that are trained side by side, the same on both: nanoGPT's two of characters, and GPT-2 124M."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Int64

from chainrule.base import ConfigError
from chainrule.config import Config, Layer, resolve


@dataclass(frozen=True)
class Size:
    """A model of GPT-2's architecture without biases (nanoGPT's `bias=False`), and the batches that it is given.

    `vocab_size` 0 is the number of characters of the text.
    """

    n_layers: int
    n_heads: int
    emb_dim: int
    context_length: int
    batch: int
    steps: int
    warm: int
    short: tuple[int, int, int]
    """Windows of a batch, steps and steps of them that are not timed, for a trial."""
    vocab_size: int = 0
    lr: float = 1e-3
    beta2: float = 0.99


# Learning rates and betas of nanoGPT's config/train_shakespeare_char.py and train.py. So many steps that a round of one
# side takes 5 to 40 s on two cores.
SIZES = {
    "0.8M": Size(4, 4, 128, 64, 12, 103, 3, (12, 12, 2)),
    "10.8M": Size(6, 6, 384, 256, 16, 10, 2, (2, 4, 1)),
    "124M": Size(12, 12, 768, 512, 1, 8, 2, (1, 3, 1), vocab_size=50_304, lr=6e-4, beta2=0.95),
}
GRAD_CLIP, WEIGHT_DECAY, SEED = 1.0, 0.1, 1337


def text_ids(path: Path, most: int = 4_000_000) -> tuple[Int64[np.ndarray, " N"], int]:
    """The characters of a text as numbers, in the order of their codes, and how many there are (nanoGPT's way)."""
    try:
        text = path.read_text(encoding="utf-8")[:most]
    except (OSError, UnicodeDecodeError) as fault:
        raise ConfigError(f"--text {path}: not read ({fault}); give a file of text in UTF-8") from fault
    codes = np.array([ord(letter) for letter in text])
    letters, ids = np.unique(codes, return_inverse=True)
    return ids.astype(np.int64), len(letters)


def drawn_windows(ids: Int64[np.ndarray, " N"], size: Size) -> Int64[np.ndarray, "S B W"]:
    """The batches of all steps, drawn from anywhere in the text as nanoGPT does, by a seed alone."""
    span = size.context_length + 1
    if len(ids) <= span:
        raise ConfigError(f"the text has {len(ids)} characters, and windows of {span} are drawn; give a longer one")
    starts = np.random.default_rng(SEED).integers(0, len(ids) - span, (size.steps, size.batch))
    return ids[starts[..., None] + np.arange(span)]


def same_architecture(size: Size, vocab_size: int) -> Config:
    """NanoGPT's model in our words, with AdamW."""
    shape = {"vocab_size": vocab_size, "context_length": size.context_length, "emb_dim": size.emb_dim}
    shape |= {"n_heads": size.n_heads, "n_layers": size.n_layers}
    values: dict[str, dict[str, object]] = {
        "model": {**shape, "drop_rate": 0.0, "bias": False, "qkv_bias": False},
        "optimizer": {
            **{"kind": "adamw", "lr": size.lr, "beta2": size.beta2},
            **{"weight_decay": WEIGHT_DECAY, "grad_clip": GRAD_CLIP},
        },
    }
    return resolve([Layer("benchmark", values)]).config
