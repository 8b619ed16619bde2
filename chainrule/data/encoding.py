"""From batches of text to token ids."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chainrule.data.jobs import Part
from chainrule.data.shards import narrowed
from chainrule.data.workers import OrderedMap
from chainrule.tokenizer import Tokenizer

BATCH_BYTES = 1 << 20

EncodeAll = OrderedMap[list[Part], list[bytes], list[NDArray[Any]]]


def batches(parts: Iterable[Part]) -> Iterator[tuple[list[Part], list[bytes]]]:
    """The parts in lists of about a mebibyte, together with their contents."""
    batch: list[Part] = []
    waiting = 0
    for part in parts:
        batch.append(part)
        waiting += len(part.content)
        if waiting >= BATCH_BYTES:
            yield batch, [part.content for part in batch]
            batch, waiting = [], 0
    if batch:
        yield batch, [part.content for part in batch]


def encode(tokenizer: Tokenizer, contents: Sequence[bytes]) -> list[NDArray[Any]]:
    """The ids of each content in the dtype of the shards; raises DataError for an id that is not in the vocabulary."""
    encoded = tokenizer.encode_batch([content.decode() for content in contents])
    return [narrowed(np.asarray(ids), tokenizer.vocab_size) for ids in encoded]
