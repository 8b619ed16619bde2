"""Prompts before the model sees them: as ids that it can take, in batches of similar length, each with its seed."""

import hashlib
from collections.abc import Iterator, Sequence

from chainrule.base import ModelError
from chainrule.model import GPT
from chainrule.tokenizer import Tokenizer

# Prompts go through the model together when their lengths differ by at most this: a longer one's extra tokens are read
# one by one, which is cheaper than a batch of its own only while they are few.
SPREAD_TOKENS = 64
BATCH_ROWS = 64


def encode_prompt(model: GPT, tokenizer: Tokenizer, prompt: str) -> list[int]:
    """The prompt's ids; end-of-text (the beginning of a document) for an empty one.

    Raises ModelError when it is longer than the context or has ids beyond the model's vocabulary.
    """
    ids = tokenizer.encode(prompt) or [tokenizer.end_of_text]
    if len(ids) > model.config.context_length:
        raise ModelError(
            f"the prompt has {len(ids)} tokens, the model's context_length is {model.config.context_length}; "
            "give a shorter prompt"
        )
    if max(ids) >= model.config.vocab_size:
        raise ModelError(
            f"the tokenizer gives id {max(ids)}, the model has vocab_size={model.config.vocab_size}; "
            "use the tokenizer that it was trained with"
        )
    return ids


def batches(lengths: Sequence[int]) -> Iterator[list[int]]:
    """Places of prompts that go through the model together: of similar length, at most BATCH_ROWS."""
    rows: list[int] = []
    for row in sorted(range(len(lengths)), key=lengths.__getitem__):
        if rows and (len(rows) == BATCH_ROWS or lengths[row] > lengths[rows[0]] + SPREAD_TOKENS):
            yield rows
            rows = []
        rows.append(row)
    if rows:
        yield rows


def row_seeds(prompts: Sequence[str], seed: int) -> list[int]:
    """A seed for each prompt that depends on `seed` and on how often the same prompt came before, on nothing else."""
    copies = [prompts[:place].count(prompt) for place, prompt in enumerate(prompts)]
    digests = [hashlib.sha256(f"{seed} {copy}".encode()).digest() for copy in copies]
    return [int.from_bytes(digest[:7]) for digest in digests]
