"""From batches of text to token ids, in this process or in others."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chainrule.base import DataError
from chainrule.data.shards import narrowed
from chainrule.data.survey import Part
from chainrule.data.workers import OrderedMap
from chainrule.tokenizer import Tokenizer, load_tokenizer

BATCH_BYTES = 1 << 20

Encode = Callable[[list[Part]], list[NDArray[Any]]]
EncodeAll = OrderedMap[list[Part], list[NDArray[Any]]]


def encoder(tokenizer: Tokenizer, saved: Path, workers: int) -> Encode:
    """The encoding of a batch, in the dtype of the shards; for other processes one that reads the tokenizer `saved`.

    It raises DataError for an id that is not in the vocabulary.
    """
    if workers <= 1:
        return partial(_encode, tokenizer)
    tokenizer.save(saved)
    return partial(_encode_elsewhere, saved, tokenizer.fingerprint)


def batches(parts: Iterable[Part]) -> Iterator[list[Part]]:
    """The parts in lists of about a mebibyte."""
    batch: list[Part] = []
    waiting = 0
    for part in parts:
        batch.append(part)
        waiting += len(part.content)
        if waiting >= BATCH_BYTES:
            yield batch
            batch, waiting = [], 0
    if batch:
        yield batch


def _encode(tokenizer: Tokenizer, batch: Sequence[Part]) -> list[NDArray[Any]]:
    encoded = tokenizer.encode_batch([part.content.decode() for part in batch])
    return [narrowed(np.asarray(ids), tokenizer.vocab_size) for ids in encoded]


def _encode_elsewhere(saved: Path, fingerprint: str, batch: Sequence[Part]) -> list[NDArray[Any]]:
    return _encode(_loaded(saved, fingerprint), batch)


@lru_cache(maxsize=1)
def _loaded(saved: Path, fingerprint: str) -> Tokenizer:
    tokenizer = load_tokenizer(saved)
    if tokenizer.fingerprint != fingerprint:
        raise DataError(
            f"{saved}: is not the tokenizer that was given; another preparation writes into the same folder"
        )
    return tokenizer
