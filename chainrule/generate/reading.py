"""Prompts on their way through a model: whole or piece by piece, and what was read as the beginning of other texts."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float, Int
from torch import Tensor

from chainrule.base import ModelError
from chainrule.config import ModelConfig
from chainrule.generate.rules import NEVER
from chainrule.model import KVCache

# Tokens between two looks at who else waits. 128 rows are the most that an exact reader multiplies at once, so that
# smaller pieces would cost time, and larger ones gain little on a CPU.
PIECE = 128
# An exact reader reads keys in blocks of so many; a cache ends with one, or with the longest text.
BLOCK = 64
# Scores of a prompt's places are given out in portions: those of 2,000 places and 50,000 tokens would be 400 MB.
PLACES_AT_ONCE = 64

Hearer = Callable[[int, Float[Tensor, "T V"]], None]
"""Hears a place of a text and the scores of the tokens behind it and the places after it, before any rule."""


@runtime_checkable
class Reader(Protocol):
    """What takes tokens through a model: the model itself, or a `chainrule.model.ExactReader` around it."""

    def stream(self, ids: Int[Tensor, "B T"], cache: KVCache) -> Float[Tensor, "B T D"]:
        """The stream at the new places, which are appended to the cache."""
        ...

    def logits(self, x: Float[Tensor, "N D"]) -> Float[Tensor, "N V"]:
        """The scores behind each."""
        ...


@dataclass(frozen=True)
class Prefix:
    """The beginning of a text as a model has read it; what begins likewise need not be read again.

    `cache` holds one row with a place for each of `ids`. It is of use to `reader` alone, which goes on with the text;
    None: the decoder's own.
    """

    ids: tuple[int, ...]
    cache: KVCache
    reader: Reader | None = None

    @property
    def n_bytes(self) -> int:
        """Memory that it takes."""
        return self.cache.keys.nbytes + self.cache.values.nbytes

    def n_shared(self, ids: Sequence[int]) -> int:
        """How many places a text can take over: those of its beginning that are the same, its last token apart.

        The last is always read, because the scores of the token after it are not kept.
        """
        most = min(len(self.ids), len(ids) - 1)
        return next((place for place in range(most) if self.ids[place] != ids[place]), most)


class Reading:
    """All of a prompt but its last token, read piece by piece by `reader`; begins with what `begun` shares with it.

    A piece ends at a multiple of 128 places, whatever else is being read and wherever it begins. Any number of texts
    can go on from what was read.
    """

    def __init__(
        self, config: ModelConfig, ids: Sequence[int], room: int, reader: Reader, begun: Prefix | None = None
    ) -> None:
        self._config, self._ids, self._room, self._reader = config, tuple(ids), room, reader
        self._prefix = begun or Prefix((), KVCache(config, 1, 0), reader)
        self._cache: KVCache | None = None
        self.n_read = self._prefix.n_shared(ids)

    @property
    def n_unread(self) -> int:
        """Tokens that are not read yet, the last among them."""
        return len(self._ids) - self.n_read

    @property
    def prefix(self) -> Prefix:
        """What was read so far, to go on from."""
        if self._cache is None:
            return self._prefix
        return Prefix(self._ids[: self.n_read], self._cache, self._reader)

    @torch.no_grad()
    def go_on(self, hear: Hearer | None = None, n_choices: int = 0) -> int:
        """Reads a piece; returns how many tokens that were. `hear` is told the scores of the first `n_choices` ids."""
        end = min((self.n_read // PIECE + 1) * PIECE, len(self._ids) - 1)
        ids, place = self._ids[self.n_read : end], self.n_read
        if not ids:
            return 0
        cache = self._cache = self._cache or self._made()
        stream = self._reader.stream(torch.tensor([ids], device=cache.keys.device), cache)
        self.n_read = end
        if hear:
            tell(hear, self._reader, stream[0], place, n_choices)
        return len(ids)

    def _made(self) -> KVCache:
        """A row with room for all of the prompt, which begins with what is known of it."""
        like = self._prefix.cache.keys
        n_places = min(self._room, -(-len(self._ids) // BLOCK) * BLOCK)
        cache = KVCache(self._config, 1, n_places, dtype=like.dtype, device=like.device)
        cache.put(self._prefix.cache, self.n_read)
        return cache


def scores_of(reader: Reader, stream: Float[Tensor, "N D"], n_choices: int) -> Float[Tensor, "N V"]:
    """The scores behind each; never an id from `n_choices` on. Raises ModelError where they are no numbers."""
    scores = reader.logits(stream).float()
    # The largest is NaN where any is: one pass, which makes no tensor as large as the scores.
    if math.isnan(float(scores.amax())):
        raise ModelError("the model's scores are not numbers (NaN); its weights are damaged or have diverged")
    scores[:, n_choices:] = NEVER
    return scores


def tell(hear: Hearer, reader: Reader, stream: Float[Tensor, "T D"], place: int, n_choices: int) -> None:
    """Gives the hearer the scores behind these places, of which `place` is the first."""
    for start in range(0, len(stream), PLACES_AT_ONCE):
        hear(place + start, scores_of(reader, stream[start : start + PLACES_AT_ONCE], n_choices))
