"""From batches of text to token ids."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chainrule.data.shards import narrowed
from chainrule.data.survey import Part
from chainrule.data.workers import OrderedMap
from chainrule.tokenizer import Tokenizer

BATCH_BYTES = 1 << 20

EncodeAll = OrderedMap[list[Part], list[NDArray[Any]]]


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


def encode(tokenizer: Tokenizer, batch: Sequence[Part]) -> list[NDArray[Any]]:
    """The ids of each part in the dtype of the shards; raises DataError for an id that is not in the vocabulary."""
    encoded = tokenizer.encode_batch([part.content.decode() for part in batch])
    return [narrowed(np.asarray(ids), tokenizer.vocab_size) for ids in encoded]
