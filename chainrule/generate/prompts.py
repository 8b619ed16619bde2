"""Prompts before the model sees them: as ids that it can take, in batches of similar length, each with its seed."""

import hashlib
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from chainrule.base import ConfigError, ModelError, bytes_text, usable_memory
from chainrule.config import ModelConfig
from chainrule.generate.healing import taken_back
from chainrule.model import GPT
from chainrule.tokenizer import Tokenizer

# Prompts go through the model together when their lengths differ by at most this: a longer one's extra tokens are read
# one by one, which is cheaper than a batch of its own only while they are few.
SPREAD_TOKENS = 64
BATCH_ROWS = 64
BATCH_CACHE_BYTES = 2**30
# What was drawn stays in memory until it is given out: some hundred bytes a token.
MOST_TOKENS = 10_000_000


@dataclass(frozen=True)
class EncodedPrompt:
    """What the model reads (never nothing), and the bytes that what it writes has to begin with."""

    ids: tuple[int, ...]
    owed: bytes = b""
    """The prompt's end that was taken back; b"" when none was."""
    n_cut: int = 0
    """Tokens of the prompt's beginning that the context has no room for."""


def encode_prompt(model: GPT, tokenizer: Tokenizer, prompt: str, *, heal: bool) -> EncodedPrompt:
    """The prompt's ids, its end taken back with `heal`; end-of-text (a document's beginning) for an empty one.

    Of a prompt that is longer than the context the end is kept. Raises ModelError for ids beyond the vocabulary.
    """
    ids, owed = taken_back(tokenizer, prompt) if heal else (tokenizer.encode(prompt), b"")
    ids = ids or [tokenizer.end_of_text]
    if max(ids) >= model.config.vocab_size:
        raise ModelError(
            f"the tokenizer gives id {max(ids)}, the model has vocab_size={model.config.vocab_size}; "
            "use the tokenizer that it was trained with"
        )
    n_cut = max(0, len(ids) - model.config.context_length)
    return EncodedPrompt(tuple(ids[n_cut:]), owed, n_cut)


def check_amount(config: ModelConfig, n_texts: int, max_new_tokens: int) -> None:
    """Raises ConfigError for no tokens, or for more than memory holds: of all texts, or of one text's cache."""
    if max_new_tokens < 1:
        raise ConfigError(f"max_new_tokens={max_new_tokens} writes nothing; use at least 1")
    if n_texts * max_new_tokens > MOST_TOKENS:
        raise ConfigError(
            f"{n_texts:,} texts of up to {max_new_tokens:,} tokens are {n_texts * max_new_tokens:,} tokens, more than "
            f"the {MOST_TOKENS:,} of one call; ask for fewer tokens or copies, and call again with another seed"
        )
    needed = _cache_bytes(config, config.context_length)
    if max_new_tokens >= config.context_length and needed > usable_memory() // 2:
        raise ConfigError(
            f"max_new_tokens={max_new_tokens} fills the context of {config.context_length}, whose keys and values take "
            f"{bytes_text(needed)}, more than half of the memory here; ask for fewer tokens"
        )


def batches(config: ModelConfig, lengths: Sequence[int], max_new_tokens: int) -> Iterator[list[int]]:
    """Places of prompts that go through the model together: of similar length, and a cache that memory has room for."""
    longest = min(config.context_length, max(lengths, default=0) + max_new_tokens)
    most = max(1, min(BATCH_ROWS, BATCH_CACHE_BYTES // _cache_bytes(config, longest)))
    rows: list[int] = []
    for row in sorted(range(len(lengths)), key=lengths.__getitem__):
        if rows and (len(rows) == most or lengths[row] > lengths[rows[0]] + SPREAD_TOKENS):
            yield rows
            rows = []
        rows.append(row)
    if rows:
        yield rows


def row_seeds(prompts: Sequence[str], seed: int) -> list[int]:
    """A seed for each prompt that depends on `seed` and on how often the same prompt came before, on nothing else."""
    seen: Counter[str] = Counter()
    seeds = []
    for prompt in prompts:
        seeds.append(numbered_seed(seed, seen[prompt]))
        seen[prompt] += 1
    return seeds


def numbered_seed(seed: int, number: int) -> int:
    """The seed of the text of that number among those that are drawn from one seed."""
    return int.from_bytes(hashlib.sha256(f"{seed} {number}".encode()).digest()[:7])


def _cache_bytes(config: ModelConfig, length: int) -> int:
    """Keys and values of one text, in float32."""
    return 2 * 4 * config.n_layers * config.n_kv_heads * config.head_dim * length
