"""Causal attention by matrix products with a softmax of our own between them: one node of autograd, half the scores."""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from chainrule.kernels.fused import computed_or_none, native
from chainrule.kernels.library import SUFFIXES

# Queries whose scores are made at once: they look no further than the last of them, and so a text of four such
# stretches has 5/8 of the products. With 64 or 256 it was no faster (contexts of 256 to 1,024, docs/LOG.md).
STRETCH = 128


def causal_attention(
    q: Float[Tensor, "B H T K"], k: Float[Tensor, "B G T K"], v: Float[Tensor, "B G T K"]
) -> Float[Tensor, "B H T K"] | None:
    """softmax(q kᵀ / √K) v, where each place sees itself and those before; heads share keys in groups of H / G.

    The weights are kept for the backward pass, in the format of `q`, in stretches that leave most of the masked half
    out. None where there is no kernel for them.
    """
    found: Tensor | None = computed_or_none(ATTENTION, q, k, v)
    return found


@dataclass(frozen=True)
class _Stretch:
    """Queries `first` to `last` of every text, and the softmax of what they see."""

    first: int
    last: int

    def rows(self, x: Float[Tensor, "N R T K"]) -> Float[Tensor, "N rows K"]:
        return x[:, :, self.first : self.last].flatten(1, 2)


class _CausalAttention:
    def fits(self, q: Tensor, k: Tensor, v: Tensor) -> bool:
        alike = q.dtype == k.dtype == v.dtype and k.shape == v.shape and q.shape[2:] == k.shape[2:]
        return alike and q.dtype in SUFFIXES and q.numel() > 0

    def reference(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        groups = q.shape[1] // k.shape[1]
        k, v = k.repeat_interleave(groups, dim=1), v.repeat_interleave(groups, dim=1)
        scores = q @ (k * (1.0 / math.sqrt(k.shape[-1]))).transpose(-1, -2)
        unseen = torch.ones(scores.shape[-2:], dtype=torch.bool, device=q.device).triu(1)
        return torch.softmax(scores.masked_fill(unseen, float("-inf")), dim=-1).to(v.dtype) @ v

    def forward(self, q: Tensor, k: Tensor, v: Tensor) -> tuple[Tensor, tuple[Tensor, ...]]:
        grouped, keys, values = _by_group(q, k), k.flatten(0, 1), v.flatten(0, 1)
        scale, kept, parts = 1.0 / math.sqrt(q.shape[-1]), [], []
        with torch.autocast("cpu", enabled=False):  # in the format of the inputs
            for one in _stretches(q.shape[2]):
                weights = torch.bmm(one.rows(grouped), keys[:, : one.last].mT)
                _native("looking_back_forward", "pnnnf", weights, one, scale)
                parts.append(torch.bmm(weights, values[:, : one.last]))
                kept.append(weights)
        return _together(parts, grouped.shape[1]).view_as(q), tuple(kept)

    def backward(
        self, gradient: Tensor, inputs: tuple[Tensor, ...], kept: tuple[Tensor, ...]
    ) -> tuple[Tensor, Tensor, Tensor]:
        q, k, v = inputs
        grouped, upstream, keys, values = _by_group(q, k), _by_group(gradient, k), k.flatten(0, 1), v.flatten(0, 1)
        scale, parts = 1.0 / math.sqrt(q.shape[-1]), []
        # The last stretch sees all keys: what it adds to them is the beginning of their gradient.
        keys_gradient, values_gradient = torch.empty(0), torch.empty(0)
        for one, weights in reversed(list(zip(_stretches(q.shape[2]), kept, strict=True))):
            rows = one.rows(upstream)
            scores = torch.bmm(rows, values[:, : one.last].mT)
            _native("looking_back_backward", "ppnnnf", weights, one, scale, scores)
            parts.append(torch.bmm(scores, keys[:, : one.last]))
            if one.last == q.shape[2]:
                keys_gradient, values_gradient = torch.bmm(scores.mT, one.rows(grouped)), torch.bmm(weights.mT, rows)
            else:
                keys_gradient[:, : one.last].baddbmm_(scores.mT, one.rows(grouped))
                values_gradient[:, : one.last].baddbmm_(weights.mT, rows)
        found = _together(parts[::-1], grouped.shape[1]).view_as(q)
        return found, keys_gradient.view_as(k), values_gradient.view_as(v)


ATTENTION = _CausalAttention()


def _stretches(length: int) -> list[_Stretch]:
    return [_Stretch(first, min(first + STRETCH, length)) for first in range(0, length, STRETCH)]


def _by_group(q: Float[Tensor, "B H T K"], k: Float[Tensor, "B G T K"]) -> Float[Tensor, "N R T K"]:
    """Queries that share keys beside each other."""
    return q.reshape(k.shape[0] * k.shape[1], -1, *q.shape[2:])


def _together(parts: list[Tensor], n_shared: int) -> Tensor:
    """The stretches of each head one after the other."""
    apart = [one.view(len(one), n_shared, -1, one.shape[-1]) for one in parts]
    return torch.cat(apart, dim=2)


def _native(name: str, arguments: str, weights: Tensor, one: _Stretch, scale: float, *others: Tensor) -> None:
    pointers = [tensor.data_ptr() for tensor in (weights, *others)]
    n_rows = weights.shape[0] * weights.shape[1]
    native(name, weights.dtype, arguments)(*pointers, n_rows, one.last - one.first, one.last, scale)


def trial(dtype: torch.dtype, generator: torch.Generator) -> tuple[_CausalAttention, *tuple[Tensor, ...]]:
    """The kernel and something to try it with."""
    q = torch.randn(2, 4, 19, 10, generator=generator).to(dtype)
    k, v = torch.randn(2, 2, 2, 19, 10, generator=generator).to(dtype)
    return ATTENTION, q, k, v
