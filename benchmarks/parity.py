"""How far our logits are from those of transformers: random weights, both families, both ways.

python benchmarks/parity.py            # small shapes, three seeds
python benchmarks/parity.py --large    # GPT-2 124M's and a 100M Qwen3's shape as well
"""

import argparse
import statistics
from typing import Any

import torch
from about import print_about
from transformers import AutoConfig, AutoModelForCausalLM

from chainrule.checkpoint import from_hugging_face, to_hugging_face
from chainrule.config import ModelConfig
from chainrule.model import GPT

SMALL = {"vocab_size": 512, "context_length": 128, "emb_dim": 96, "n_heads": 6, "n_layers": 4, "drop_rate": 0.0}
MODERN = {"norm": "rmsnorm", "position": "rope", "activation": "swiglu", "bias": False}
SHAPES: dict[str, dict[str, Any]] = {
    "GPT-2, tied": SMALL,
    "GPT-2, query biases, untied": {**SMALL, "qkv_bias": True, "tied_embeddings": False},
    "GPT-2 without any bias": {**SMALL, "bias": False},
    "Llama, grouped heads": {**SMALL, **MODERN, "n_kv_heads": 2},
    "Llama, untied": {**SMALL, **MODERN, "tied_embeddings": False},
    "Qwen3, grouped heads": {**SMALL, **MODERN, "qk_norm": True, "n_kv_heads": 3},
    "Qwen3, untied": {**SMALL, **MODERN, "qk_norm": True, "tied_embeddings": False},
}
LARGE: dict[str, dict[str, Any]] = {
    "GPT-2 124M": {},
    "Qwen3 100M": {**MODERN, "qk_norm": True, "vocab_size": 32768, "drop_rate": 0.0},
}


def their_model(settings: dict[str, Any]) -> torch.nn.Module:
    """transformers' model of these settings with random weights."""
    return AutoModelForCausalLM.from_config(AutoConfig.for_model(**settings)).float().eval()


def difference(shape: dict[str, Any], seed: int) -> tuple[float, float, bool]:
    """Largest logit difference of ours read by transformers, of theirs read by us, and whether greedy text is equal."""
    torch.manual_seed(seed)
    ours = GPT(ModelConfig(**shape)).eval()
    for parameter in ours.parameters():  # biases and norms too, so that a lost one shows
        parameter.data.add_(torch.randn_like(parameter) * 0.02)
    settings, tensors = to_hugging_face(ours.config, ours.state_dict())
    theirs = their_model(settings)
    theirs.load_state_dict(dict(tensors), strict=False)
    ids = torch.randint(0, ours.config.vocab_size, (2, min(128, ours.config.context_length)))
    torch.manual_seed(seed + 1000)
    foreign = their_model(settings)
    config, state = from_hugging_face(settings, foreign.state_dict())
    back = GPT(config).eval()
    back.load_state_dict(state)
    with torch.no_grad():
        out, away = ours(ids), theirs(ids).logits
        home, away_again = back(ids), foreign(ids).logits
    greedy = bool((out.argmax(-1) == away.argmax(-1)).all() and (home.argmax(-1) == away_again.argmax(-1)).all())
    return (out - away).abs().max().item(), (home - away_again).abs().max().item(), greedy


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--large", action="store_true")
    shapes = {**SHAPES, **LARGE} if parser.parse_args().large else SHAPES
    print_about()
    print(f"{'float32, largest logit difference':36} {'ours → theirs':>22} {'theirs → ours':>22}  greedy choice")
    for name, shape in shapes.items():
        rows = [difference(shape, seed) for seed in range(1 if name in LARGE else 3)]
        columns = []
        for values in ([row[0] for row in rows], [row[1] for row in rows]):
            columns.append(f"{statistics.median(values):.1e} (max {max(values):.1e})")
        print(f"{name:36} {columns[0]:>22} {columns[1]:>22}  {'equal' if all(row[2] for row in rows) else 'DIFFERENT'}")


if __name__ == "__main__":
    main()
