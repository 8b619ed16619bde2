"""How well a vocabulary suits a text and a model, in figures and in warnings."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from chainrule.base import TokenizerError
from chainrule.tokenizer.alphabet import SINGLE_BYTES
from chainrule.tokenizer.tokenizer import Tokenizer

BATCH_CHARACTERS = 4_000_000
# GPT-2 124M spends 0.31 of its parameters on the embedding, GPT-2 1558M 0.05; above 0.4 the blocks are starved.
LARGEST_EMBEDDING_SHARE = 0.4
LARGEST_UNUSED_SHARE = 0.2
LARGEST_SHARE_OF_ONE = 0.5

Counts = NDArray[np.int64]


@dataclass(frozen=True)
class TokenizerReport:
    """What a tokenizer makes of a text; shares are between 0 and 1."""

    kind: str
    vocab_size: int
    n_tokens: int
    bytes_per_token: float
    """Bytes of text for each id, control tokens aside; 0 when there is no text."""
    unused_share: float
    """Entries that never occur in the text, control tokens aside."""
    embedding_share: float | None
    """Parameters of the token embedding as a share of the model's; None when the model is not known."""
    warnings: tuple[str, ...]


def count_tokens(tokenizer: Tokenizer, texts: Iterable[str]) -> Counts:
    """How often each id occurs in the texts [V]; a few megabytes of text are in memory at once."""
    counts = np.zeros(tokenizer.vocab_size, dtype=np.int64)
    for batch in _batches(texts):
        for ids in tokenizer.encode_batch(batch):
            counts += np.bincount(ids, minlength=tokenizer.vocab_size)
    return counts


def tokenizer_report(
    tokenizer: Tokenizer,
    texts_or_counts: Iterable[str] | Counts,
    *,
    emb_dim: int | None = None,
    n_params: int | None = None,
    asked_size: int | None = None,
) -> TokenizerReport:
    """The report on texts, or on how often each id occurs in one [V].

    `emb_dim` and `n_params` (all parameters) of the model judge the size against the model, `asked_size` (the
    vocabulary's size in the configuration) against what the text had to offer. Raises TokenizerError for the
    counts of another vocabulary.
    """
    counts = texts_or_counts if isinstance(texts_or_counts, np.ndarray) else count_tokens(tokenizer, texts_or_counts)
    if counts.shape != (tokenizer.vocab_size,):
        raise TokenizerError(f"{counts.size} counts were given for a vocabulary of {tokenizer.vocab_size} entries")
    ordinary = tokenizer.byte_lengths > 0
    n_tokens = int(counts[ordinary].sum())
    share = tokenizer.vocab_size * emb_dim / n_params if emb_dim and n_params else None
    found = (
        _fewer_than_asked(tokenizer, asked_size),
        _too_big_for_text(tokenizer, counts, n_tokens),
        _too_big_for_model(tokenizer, share, emb_dim, n_params),
        _one_for_all(tokenizer, counts, n_tokens),
    )
    return TokenizerReport(
        kind=tokenizer.kind,
        vocab_size=tokenizer.vocab_size,
        n_tokens=n_tokens,
        bytes_per_token=float(counts @ tokenizer.byte_lengths) / max(n_tokens, 1),
        unused_share=float((counts[ordinary] == 0).mean()),
        embedding_share=share,
        warnings=tuple(warning for warning in found if warning),
    )


def _batches(texts: Iterable[str]) -> Iterator[list[str]]:
    batch: list[str] = []
    size = 0
    for text in texts:
        batch.append(text)
        size += len(text)
        if size >= BATCH_CHARACTERS:
            yield batch
            batch, size = [], 0
    yield batch


def _fewer_than_asked(tokenizer: Tokenizer, asked_size: int | None) -> str | None:
    if asked_size is None or tokenizer.kind != "bpe" or tokenizer.vocab_size >= asked_size:
        return None
    return (
        f"the vocabulary has {tokenizer.vocab_size} entries instead of {asked_size}: the text has no more pairs; "
        "give more text or ask for a smaller vocabulary"
    )


def _too_big_for_text(tokenizer: Tokenizer, counts: Counts, n_tokens: int) -> str | None:
    longer = tokenizer.byte_lengths > 1  # the 256 bytes are there for text that is still to come
    unused = float((counts[longer] == 0).mean()) if longer.any() and n_tokens else 0.0
    if unused <= LARGEST_UNUSED_SHARE:
        return None
    fitting = len(SINGLE_BYTES) + int((counts[longer] > 0).sum())
    return (
        f"{unused:.0%} of the {int(longer.sum())} entries longer than a byte never occur in the text, so the model "
        f"cannot learn them; a vocabulary of about {fitting} entries, learnt from this text (kind = bpe), suits it"
    )


def _too_big_for_model(
    tokenizer: Tokenizer, share: float | None, emb_dim: int | None, n_params: int | None
) -> str | None:
    if share is None or emb_dim is None or n_params is None or share <= LARGEST_EMBEDDING_SHARE:
        return None
    rest = n_params - tokenizer.vocab_size * emb_dim
    fitting = max(512, int(rest * LARGEST_EMBEDDING_SHARE / (1 - LARGEST_EMBEDDING_SHARE) / emb_dim))
    if fitting >= tokenizer.vocab_size:
        return None
    return (
        f"the embedding of {tokenizer.vocab_size} entries takes {share:.0%} of the model's parameters; "
        f"with at most {fitting} entries, or with more layers, more of them could think"
    )


def _one_for_all(tokenizer: Tokenizer, counts: Counts, n_tokens: int) -> str | None:
    most = int(counts.argmax())
    if n_tokens == 0 or tokenizer.byte_lengths[most] == 0 or counts[most] <= LARGEST_SHARE_OF_ONE * n_tokens:
        return None
    return (
        f"{counts[most] / n_tokens:.0%} of the text is the one entry {tokenizer.token_bytes[most]!r}; "
        "a low loss on it says nothing, so look at the text"
    )
