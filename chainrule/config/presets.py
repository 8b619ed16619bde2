"""Named configurations: the published GPT-2 sizes, and sizes for a laptop."""

from chainrule.base import ConfigError, nearest
from chainrule.config.load import Layer

Values = dict[str, dict[str, object]]


def _gpt2(emb_dim: int, n_heads: int, n_layers: int) -> Values:
    """The four models of Radford et al. 2019 (table 2, with the parameter counts that OpenAI corrected later)."""
    shape = {"vocab_size": 50257, "context_length": 1024, "emb_dim": emb_dim, "n_heads": n_heads, "n_layers": n_layers}
    return {
        "model": {**shape, "drop_rate": 0.1, "qkv_bias": False},
        "vocabulary": {"kind": "gpt2"},
        "optimizer": {"kind": "adamw", "lr": 6e-4 * (768 / emb_dim) ** 0.5},
    }


def modern(emb_dim: int, n_heads: int, n_layers: int, context_length: int, vocab_size: int) -> Values:
    """Qwen3's architecture with Muon, in any size."""
    shape = {"vocab_size": vocab_size, "context_length": context_length, "emb_dim": emb_dim}
    modern = {"norm": "rmsnorm", "position": "rope", "activation": "swiglu", "qk_norm": True, "bias": False}
    modern["rope_base"] = 1e6  # as Qwen3 has it: half of the pairs then turn too slowly to blur what a token is
    return {
        "model": {**shape, "n_heads": n_heads, "n_layers": n_layers, "drop_rate": 0.0, **modern, "norm_eps": 1e-6},
        "optimizer": {"kind": "muon", "lr": 4e-3, "muon_lr": 0.02},
        "schedule": {"kind": "wsd", "decay_share": 0.6, "floor": 0.0},
    }


PRESETS: dict[str, Values] = {
    "gpt2-124m": _gpt2(768, 12, 12),
    "gpt2-355m": _gpt2(1024, 16, 24),
    "gpt2-774m": _gpt2(1280, 20, 36),
    "gpt2-1558m": _gpt2(1600, 25, 48),
    "cpu-tiny": modern(128, 4, 4, 256, 2048),
    "cpu-small": modern(256, 4, 6, 512, 4096),
    "cpu-medium": modern(384, 6, 8, 512, 8192),
    "gpu-small": modern(768, 12, 12, 1024, 32768),
}


def preset(name: str) -> Layer:
    """The layer of a preset; raises ConfigError with the nearest name."""
    if name not in PRESETS:
        raise ConfigError(f"unknown preset {name!r}.{nearest(name, PRESETS)} Presets: {', '.join(PRESETS)}.")
    return Layer(f"preset {name}", PRESETS[name])
