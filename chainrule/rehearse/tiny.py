"""The tiny model of a rehearsal: the words of the configuration, and the least dimensions that its layout divides."""

import random
from pathlib import Path

from chainrule.config import Config, Layer
from chainrule.plan import Layout

HEAD_DIM, N_LAYERS, WINDOW, WINDOWS_OF_A_READER = 8, 2, 16, 2
MOST_GROUPS = 4
STEPS, SAVE_EVERY = 24, 6
WORDS = ("the", "sea", "and", "old", "man", "said", "we", "were", "going", "home", "before", "a", "storm", "came")
N_FILES, WORDS_OF_A_FILE = 40, 80


def tiny_layer(config: Config, layout: Layout, kind: str) -> Layer:
    """Settings of a run whose layout is the same and whose model is as small as it may be, with the optimizer `kind`.

    Dropout is off: ranks that read other text would drop other units than one process.
    """
    model = config.model
    n_kv_heads = max(2, layout.tp)
    n_heads = n_kv_heads * min(MOST_GROUPS, model.n_heads // model.n_kv_heads)
    width, window = n_heads * HEAD_DIM, WINDOW * layout.tp
    n_layers, n_windows = max(N_LAYERS, layout.pp), max(WINDOWS_OF_A_READER, layout.pp)
    same = ("norm", "position", "activation", "bias", "qkv_bias", "qk_norm", "tied_embeddings")
    return Layer(
        "rehearsal",
        {
            "model": {
                **{name: getattr(model, name) for name in same},
                **{"emb_dim": width, "n_heads": n_heads, "n_kv_heads": n_kv_heads, "head_dim": HEAD_DIM},
                **{"hidden_dim": 2 * width, "n_layers": n_layers, "context_length": window, "vocab_size": 257},
                "drop_rate": 0.0,
            },
            "vocabulary": {"kind": "bytes"},
            "optimizer": {"kind": kind, "lr": 1e-2},
            "training": {
                **{"steps": STEPS, "batch_tokens": n_windows * layout.readers * window},
                **{"save_every": SAVE_EVERY, "keep_last": STEPS, "eval_every": STEPS, "sample_every": STEPS},
                **{"eval_tokens": 4 * window, "sample_tokens": 1, "prompts": ["the"], "health_every": 0},
            },
            "machine": {
                **{"device": "cpu", "precision": "float32", "threads": 1, "micro_batch": 1, "cache": "off"},
                "activation_checkpointing": config.machine.activation_checkpointing,
            },
        },
    )


def write_tiny_text(folder: Path) -> None:
    """Some texts of few words, the same every time."""
    folder.mkdir()
    chance = random.Random(0)  # noqa: S311
    for number in range(N_FILES):
        words = " ".join(chance.choice(WORDS) for _ in range(WORDS_OF_A_FILE))
        (folder / f"{number:02}.txt").write_text(words + "\n", encoding="utf-8")
