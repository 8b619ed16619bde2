"""Attention: each token gathers from those before it what it needs."""

import math

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from chainrule.base import processor_class
from chainrule.config import ModelConfig
from chainrule.kernels import causal_attention, rotated_heads
from chainrule.model.cache import KVCache
from chainrule.model.norm import RMSNorm
from chainrule.model.position import Rotation, rotate


class Attention(nn.Module):
    """Causal self-attention (Vaswani et al. 2017), key and value heads in groups (Ainslie et al., arXiv 2305.13245)."""

    def __init__(self, config: ModelConfig, layer: int) -> None:
        super().__init__()
        self.layer = layer
        self.n_heads, self.n_kv_heads, self.head_dim = config.n_heads, config.n_kv_heads, config.head_dim
        self.drop_rate = config.drop_rate
        rows = (self.n_heads + 2 * self.n_kv_heads) * self.head_dim
        self.qkv = nn.Linear(config.emb_dim, rows, bias=config.qkv_bias)
        self.out = nn.Linear(self.n_heads * self.head_dim, config.emb_dim, bias=config.bias)
        self.q_norm = RMSNorm(self.head_dim, config) if config.qk_norm else None
        self.k_norm = RMSNorm(self.head_dim, config) if config.qk_norm else None
        self.products_pay = processor_class().attends_by_products

    def forward(
        self,
        x: Float[Tensor, "B T D"],
        rotation: Rotation = None,
        mask: Bool[Tensor, "B 1 T S"] | None = None,
        cache: KVCache | None = None,
    ) -> Float[Tensor, "B T D"]:
        """What each place gathers; `mask` says where it may look (default: itself and all places before)."""
        q, k, v = self.projected(x, rotation, apart=cache is None or self.q_norm is not None)
        if cache is not None:
            k, v = cache.append(self.layer, k.to(cache.keys.dtype), v.to(cache.values.dtype))
            q = q.to(k.dtype)
        drop_rate = self.drop_rate if self.training else 0.0
        on_cpu = q.device.type == "cpu" and q.dtype == torch.bfloat16 and torch.is_grad_enabled()
        explicit = on_cpu and self.products_pay
        gathered = attend(q, k, v, mask, drop_rate, explicit=explicit)
        return self.out(gathered.transpose(1, 2).flatten(2).to(x.dtype))

    def projected(
        self, x: Float[Tensor, "B T D"], rotation: Rotation = None, *, apart: bool = True
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Queries and keys, normalised where the model does and rotated, and values, each [B, its heads, T, K].

        Queries and keys are turned `apart`, or at once, which is fewer calls where nothing is normalised.
        """
        batch, length, _ = x.shape
        projection = self.qkv(x)
        if apart and (found := self._in_one_pass(projection, rotation)):
            return found
        heads = projection.view(batch, length, -1, self.head_dim).transpose(1, 2)
        if not apart:
            n_turned = self.n_heads + self.n_kv_heads
            turned = rotate(heads[:, :n_turned], rotation)
            return turned[:, : self.n_heads], turned[:, self.n_heads :], heads[:, n_turned:]
        q, k, v = heads.split((self.n_heads, self.n_kv_heads, self.n_kv_heads), dim=1)
        if self.q_norm is not None and self.k_norm is not None:
            q, k = self.q_norm(q), self.k_norm(k)
        return rotate(q, rotation), rotate(k, rotation), v

    def _in_one_pass(self, projection: Tensor, rotation: Rotation) -> tuple[Tensor, Tensor, Tensor] | None:
        """`projected`, by a kernel of our own; None where there is none for it."""
        if rotation is None:
            return None
        norms, eps = None, 0.0
        if self.q_norm is not None and self.k_norm is not None:
            norms, eps = (self.q_norm.weight, self.k_norm.weight), self.q_norm.eps
        return rotated_heads(projection, (self.n_heads, self.n_kv_heads), rotation, norms, eps)


def attend(
    q: Float[Tensor, "B H T K"],
    k: Float[Tensor, "B G S K"],
    v: Float[Tensor, "B G S K"],
    mask: Bool[Tensor, "B 1 T S"] | None = None,
    drop_rate: float = 0.0,
    *,
    explicit: bool = False,
) -> Float[Tensor, "B H T K"]:
    """softmax(q kᵀ / √K) v, where each place sees itself and those before, and only where `mask` is true.

    `S >= T`: with a cache the queries are the last `T` of `S` places. Query heads share key heads in groups of H / G.
    `explicit` computes the scores with plain matrix products: benchmarks/attention.py says where that is faster.
    """
    whole = mask is None and q.shape[2] == k.shape[2]
    if explicit and whole and not drop_rate and (found := causal_attention(q, k, v)) is not None:
        return found
    # Only without gradients: torch then reads a group's keys in place, to the same bits. To copy them for each head
    # took 2.9 of 3.4 ms (16 texts of 300 tokens, 9 heads over 3 of 64, one thread of a Zen 4).
    shared = k.shape[1] != q.shape[1] and not explicit and not torch.is_grad_enabled()
    if k.shape[1] != q.shape[1] and not shared:
        groups = q.shape[1] // k.shape[1]
        k, v = k.repeat_interleave(groups, dim=1), v.repeat_interleave(groups, dim=1)
    if explicit:
        return explicit_attention(q, k, v, mask, drop_rate)
    square = q.shape[2] == k.shape[2]
    if mask is None and not square and q.shape[2] > 1:
        mask = causal_mask(q.shape[2], k.shape[2], q.device)[None, None]
    elif mask is not None:
        mask = mask & causal_mask(q.shape[2], k.shape[2], q.device)
    return nn.functional.scaled_dot_product_attention(
        q, k, v, attn_mask=mask, dropout_p=drop_rate, is_causal=mask is None and square, enable_gqa=shared
    )


def explicit_attention(
    q: Float[Tensor, "B H T K"],
    k: Float[Tensor, "B H S K"],
    v: Float[Tensor, "B H S K"],
    mask: Bool[Tensor, "B 1 T S"] | None = None,
    drop_rate: float = 0.0,
) -> Float[Tensor, "B H T K"]:
    """The same numbers by two matrix products and a softmax."""
    scores = q @ (k * (1.0 / math.sqrt(k.shape[-1]))).transpose(-1, -2)
    seen = causal_mask(q.shape[2], k.shape[2], q.device)
    scores = scores.masked_fill(~(seen if mask is None else seen & mask), float("-inf"))
    weights = torch.softmax(scores, dim=-1)
    if drop_rate:
        weights = nn.functional.dropout(weights, drop_rate)
    return weights.to(v.dtype) @ v


def causal_mask(n_queries: int, n_keys: int, device: torch.device) -> Bool[Tensor, "T S"]:
    """True where a query may look: at its own place, which is among the last, and at all before."""
    return torch.ones(n_queries, n_keys, dtype=torch.bool, device=device).tril(n_keys - n_queries)
