"""The keys and values of the tokens seen so far, so that each new token costs one token's work."""

from collections.abc import Sequence
from copy import copy

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from chainrule.base import ModelError
from chainrule.config import ModelConfig
from chainrule.model.position import Places

Spans = tuple[Sequence[Tensor], Sequence[Tensor]]
"""Keys and values of each layer at some places."""


class KVCache:
    """Room for `max_length` places of `batch` texts; `lengths` (int64, on the CPU) counts the filled ones of each.

    Memory: 2 n_layers batch n_kv_heads max_length head_dim numbers of `dtype`, allocated at once. Rows of one length
    cost no mask; rows of several lengths are read with one. The places behind a row's end are zeros.
    """

    def __init__(
        self,
        config: ModelConfig,
        batch: int,
        max_length: int,
        *,
        dtype: torch.dtype = torch.float32,
        device: torch.device | str = "cpu",
    ) -> None:
        shape = (config.n_layers, batch, config.n_kv_heads, max_length, config.head_dim)
        self.keys = torch.zeros(shape, dtype=dtype, device=device)
        self.values = torch.zeros(shape, dtype=dtype, device=device)
        self.lengths = torch.zeros(batch, dtype=torch.int64)
        self._scattered: Tensor | None = None
        self._new: Spans = ((), ())
        self._seen: Spans = ((), ())

    @property
    def length(self) -> int:
        """Filled places of the longest row."""
        return int(self.lengths.max())

    @property
    def max_length(self) -> int:
        """Places that a row has room for."""
        return self.keys.shape[3]

    def rows(self, start: int, stop: int) -> "KVCache":
        """These rows as a cache of their own, which shares its memory with this one: what one writes the other has."""
        part = copy(self)
        part.keys, part.values = self.keys[:, start:stop], self.values[:, start:stop]
        part.lengths = self.lengths[start:stop]
        return part

    def copy(self, n_places: int) -> "KVCache":
        """The first `n_places` of each row in memory of their own, with no room for more: a prefix to go on from."""
        part = copy(self)
        part.keys, part.values = self.keys[:, :, :, :n_places].clone(), self.values[:, :, :, :n_places].clone()
        part.lengths = self.lengths.clamp(max=n_places)
        return part

    def put(self, other: "KVCache", n_places: int) -> None:
        """The rows become the first `n_places` of those of `other`, of which there are as many. Raises ModelError."""
        self._check_room(n_places)
        self.truncate(0)
        self.keys[:, :, :, :n_places] = other.keys[:, :, :, :n_places]
        self.values[:, :, :, :n_places] = other.values[:, :, :, :n_places]
        self.lengths.copy_(other.lengths.clamp(max=n_places))

    def truncate(self, n_places: int) -> None:
        """Forgets all but the first `n_places` of each row."""
        # Zeros, not a smaller number alone: a mask weighs what is behind a row's end with 0, and 0 times NaN is NaN.
        self.keys[:, :, :, n_places : self.length].zero_()
        self.values[:, :, :, n_places : self.length].zero_()
        self.lengths.clamp_(max=n_places)

    def begin(self, n_tokens: int) -> tuple[Places, Bool[Tensor, "B 1 T S"] | None]:
        """Makes ready for `n_tokens` more in each row: their places, and what each may see (None: all before it).

        Raises ModelError where a row has no room for them.
        """
        start = self.length
        self._check_room(start + n_tokens)
        self._new, self._seen = self._spans(start, n_tokens), self._spans(0, start + n_tokens)
        if int(self.lengths.min()) == start:
            self._scattered = None
            return slice(start, start + n_tokens), None
        # One copy to the device for all layers. A step of 32 rows of 200 to 232 places takes up to 9 % longer than
        # one of even rows (six layers of 256, one thread of a CPU).
        places = (self.lengths[:, None] + torch.arange(n_tokens)).to(self.keys.device)
        self._scattered = places
        seen = torch.arange(start + n_tokens, device=places.device) <= places[:, :, None]
        return places, seen[:, None]

    def append(
        self, layer: int, k: Float[Tensor, "B H T K"], v: Float[Tensor, "B H T K"]
    ) -> tuple[Float[Tensor, "B H S K"], Float[Tensor, "B H S K"]]:
        """Writes the new places behind each row's filled ones; returns all of that layer up to the longest row's.

        After `begin`, which says where; `lengths` move by `advance`.
        """
        if self._scattered is None:
            self._new[0][layer].copy_(k)
            self._new[1][layer].copy_(v)
        else:
            keys, values = self.keys[layer], self.values[layer]
            rows = torch.arange(len(keys), device=keys.device)[:, None]
            keys[rows, :, self._scattered] = k.transpose(1, 2)
            values[rows, :, self._scattered] = v.transpose(1, 2)
        return self._seen[0][layer], self._seen[1][layer]

    def advance(self, n_tokens: int) -> None:
        """Counts `n_tokens` new places of each row as filled, once all layers have written them."""
        self.lengths += n_tokens
        self._new = self._seen = ((), ())  # a copy of some rows must not keep the memory of all

    def _spans(self, start: int, n_places: int) -> Spans:
        """Views of so many places of each layer, cut at once: one by one they cost a quarter of a layer's calls."""
        keys, values = (part.narrow(3, start, n_places).unbind() for part in (self.keys, self.values))
        return keys, values

    def _check_room(self, n_places: int) -> None:
        if n_places > self.max_length:
            raise ModelError(
                f"{n_places} tokens are more than the cache's max_length={self.max_length}; "
                "make it for longer texts, or truncate it"
            )
