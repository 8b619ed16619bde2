"""Tiny models of each family, with weights that are not those of a start."""

import torch

from chainrule.checkpoint import OpenedModel
from chainrule.config import ModelConfig, VocabularyConfig
from chainrule.model import GPT
from chainrule.tokenizer import build_tokenizer

MODERN = {"norm": "rmsnorm", "position": "rope", "activation": "swiglu", "bias": False, "n_kv_heads": 2}
FAMILIES = {
    "gpt2": {"qkv_bias": True},
    "llama": {**MODERN, "tied_embeddings": False},
    "qwen3": {**MODERN, "qk_norm": True},
}
TINY = {"vocab_size": 257, "context_length": 32, "emb_dim": 32, "n_heads": 4, "n_layers": 2, "drop_rate": 0.0}


def made(family: str, **more) -> GPT:
    """A model of that family whose every weight, biases too, is a number of its own."""
    torch.manual_seed(0)
    model = GPT(ModelConfig(**{**TINY, **FAMILIES[family], **more})).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn(parameter.shape) * 0.2)
    return model


def some_ids(rows: int = 2, length: int = 16, seed: int = 1) -> torch.Tensor:
    return torch.randint(TINY["vocab_size"], (rows, length), generator=torch.Generator().manual_seed(seed))


def learn(model: GPT, steps: int = 3) -> None:
    """A few steps by what may learn."""
    ids = some_ids()
    optimizer = torch.optim.AdamW([one for one in model.parameters() if one.requires_grad], 1e-2, fused=True)
    for _ in range(steps):
        optimizer.zero_grad()
        model.loss(ids[:, :-1], ids[:, 1:]).backward()
        optimizer.step()


def opened(model: GPT) -> OpenedModel:
    """As a checkpoint would be, with a tokenizer of bytes."""
    return OpenedModel(
        model, build_tokenizer(VocabularyConfig(kind="bytes"), model.config.vocab_size, tuple), model.config, "a test"
    )
