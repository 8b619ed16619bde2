"""A peer with the names and the interface of nanoGPT's files, written for these tests: none of its code."""

from pathlib import Path

import pytest

MODEL = """
from dataclasses import dataclass

import torch
from torch import nn
from torch.nn import functional as F


@dataclass
class GPTConfig:
    block_size: int
    vocab_size: int
    n_layer: int
    n_head: int
    n_embd: int
    dropout: float
    bias: bool


class Attention(nn.Module):
    def __init__(self, given):
        super().__init__()
        self.c_attn = nn.Linear(given.n_embd, 3 * given.n_embd, bias=False)
        self.c_proj = nn.Linear(given.n_embd, given.n_embd, bias=False)
        self.n_head = given.n_head

    def forward(self, x):
        q, k, v = (part.unflatten(-1, (self.n_head, -1)).transpose(1, 2) for part in self.c_attn(x).chunk(3, -1))
        return self.c_proj(F.scaled_dot_product_attention(q, k, v, is_causal=True).transpose(1, 2).flatten(2))


class MLP(nn.Module):
    def __init__(self, given):
        super().__init__()
        self.c_fc = nn.Linear(given.n_embd, 4 * given.n_embd, bias=False)
        self.c_proj = nn.Linear(4 * given.n_embd, given.n_embd, bias=False)

    def forward(self, x):
        return self.c_proj(F.gelu(self.c_fc(x)))


class Block(nn.Module):
    def __init__(self, given):
        super().__init__()
        self.ln_1, self.ln_2 = (nn.LayerNorm(given.n_embd, bias=False) for _ in range(2))
        self.attn, self.mlp = Attention(given), MLP(given)

    def forward(self, x):
        x = x + self.attn(self.ln_1(x))
        return x + self.mlp(self.ln_2(x))


class GPT(nn.Module):
    def __init__(self, given):
        super().__init__()
        print("a peer may print what it likes")
        self.transformer = nn.ModuleDict(
            dict(
                wte=nn.Embedding(given.vocab_size, given.n_embd),
                wpe=nn.Embedding(given.block_size, given.n_embd),
                h=nn.ModuleList(Block(given) for _ in range(given.n_layer)),
                ln_f=nn.LayerNorm(given.n_embd, bias=False),
            )
        )

    def forward(self, ids, targets=None):
        x = self.transformer.wte(ids) + self.transformer.wpe(torch.arange(ids.shape[1]))
        for block in self.transformer.h:
            x = block(x)
        logits = F.linear(self.transformer.ln_f(x), self.transformer.wte.weight)
        return logits, F.cross_entropy(logits.flatten(0, 1), targets.flatten())

    def configure_optimizers(self, weight_decay, learning_rate, betas, device_type):
        matrices = [one for one in self.parameters() if one.dim() > 1]
        others = [one for one in self.parameters() if one.dim() < 2]
        groups = [{"params": matrices, "weight_decay": weight_decay}, {"params": others, "weight_decay": 0.0}]
        return torch.optim.AdamW(groups, lr=learning_rate, betas=betas)
"""


@pytest.fixture
def peer(tmp_path) -> Path:
    """A folder that passes for a checkout of nanoGPT."""
    folder = tmp_path / "peer"
    (folder / "config").mkdir(parents=True)
    for name in ("train.py", "configurator.py", "config/train_shakespeare_char.py"):
        (folder / name).write_text("")
    (folder / "model.py").write_text(MODEL)
    return folder


@pytest.fixture
def text(tmp_path) -> Path:
    """A short text of few characters."""
    place = tmp_path / "text.txt"
    place.write_text("".join(f"{number * 37 % 101} foxes jumped over {number % 7} dogs;\n" for number in range(60)))
    return place
