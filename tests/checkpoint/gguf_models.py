"""Small models of every architecture that a GGUF can hold, with weights far from their start."""

from pathlib import Path
from typing import Any

import torch

from chainrule.checkpoint.gguf_file import write_gguf
from chainrule.config import ModelConfig
from chainrule.model import GPT
from chainrule.tokenizer import Tokenizer, train_bpe

SHAPE = {"context_length": 48, "emb_dim": 64, "n_heads": 4, "n_layers": 2, "drop_rate": 0.0}
MODERN = {"norm": "rmsnorm", "position": "rope", "activation": "swiglu", "bias": False, "rope_base": 5000.0}
LLAMA3 = {"rope_scaling": "llama3", "rope_factor": 8.0, "rope_original_context": 16}
FAMILIES: dict[str, dict[str, Any]] = {
    "gpt2": {"qkv_bias": True, "tied_embeddings": False},
    "gpt2 without biases": {"bias": False},
    "llama": {**MODERN, "n_kv_heads": 2},
    "qwen2": {**MODERN, "qkv_bias": True, "n_kv_heads": 1, "tied_embeddings": False},
    "qwen3": {**MODERN, "qk_norm": True, "n_kv_heads": 2, "head_dim": 32},
    "llama with scaled positions": {**MODERN, "n_kv_heads": 2, **LLAMA3},
    "qwen3 with scaled positions": {**MODERN, "qk_norm": True, "rope_scaling": "linear", "rope_factor": 2.5},
}


def words() -> Tokenizer:
    return train_bpe(["Once upon a time there were 12345 quick foxes, and it's said they didn't jump. " * 9], 300)


def small_model(family: str, vocab_size: int) -> GPT:
    torch.manual_seed(0)
    model = GPT(ModelConfig(**{**SHAPE, "vocab_size": vocab_size, **FAMILIES[family]}))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    return model.eval()


def gguf_of(path: Path, family: str, dtype: str = "F32", **more: Any) -> GPT:
    """Writes a file and returns the model that it was written from; its embedding has three rows that only pad."""
    tokenizer = words()
    model = small_model(family, tokenizer.vocab_size + 3)
    write_gguf(path, model, tokenizer, dtype, **more)
    return model
