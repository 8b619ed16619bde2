"""A tiny instructed model and a base model for the tests of talks: real ones, whose weights are random and large."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

from chainrule.checkpoint import OpenedModel
from chainrule.config import ModelConfig
from chainrule.model import GPT
from chainrule.tokenizer import ChatTemplate, Tokenizer, train_bpe

TEXT = "the cat sat on the mat. the dog ate the cat's hat. user assistant system. "


def loud(vocab_size: int, context_length: int, silent: list[int], seed: int = 0) -> GPT:
    """A model that writes something else after every text, and never a token of `silent`."""
    shape = {"vocab_size": vocab_size, "context_length": context_length, "emb_dim": 32, "n_heads": 4, "n_layers": 2}
    made = GPT(ModelConfig(**shape))
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator) * (0.4 if parameter.dim() > 1 else 1.0))
        made.token_embedding.weight[silent] = 0.0
    return made.eval()


def words() -> Tokenizer:
    return train_bpe([TEXT] * 3, 290)


def base(context_length: int = 256) -> OpenedModel:
    """A base model that writes ASCII."""
    tokenizer = words()
    model = loud(tokenizer.vocab_size, context_length, not_ascii(tokenizer))
    return OpenedModel(model, tokenizer, model.config, "a base model of the tests")
