"""The keys and values of the tokens seen so far, so that each new token costs one token's work."""

import torch
from jaxtyping import Float
from torch import Tensor

from chainrule.config import ModelConfig


class KVCache:
    """Room for `max_length` places of `batch` texts; `length` places are filled.

    Memory: 2 n_layers batch n_kv_heads max_length head_dim numbers of `dtype`, allocated at once.
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
        self.length = 0

    def append(
        self, layer: int, k: Float[Tensor, "B H T K"], v: Float[Tensor, "B H T K"]
    ) -> tuple[Float[Tensor, "B H S K"], Float[Tensor, "B H S K"]]:
        """Writes the new places behind the filled ones; returns all of that layer. `length` moves by `advance`."""
        end = self.length + k.shape[2]
        self.keys[layer, :, :, self.length : end] = k
        self.values[layer, :, :, self.length : end] = v
        return self.keys[layer, :, :, :end], self.values[layer, :, :, :end]

    def advance(self, n_tokens: int) -> None:
        """Counts `n_tokens` new places as filled, once all layers have written them."""
        self.length += n_tokens
