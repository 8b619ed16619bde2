"""Queries, keys and values out of one projection: apart, normalised and rotated in one pass over it."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from chainrule.kernels.fused import computed_or_none, native
from chainrule.kernels.library import SUFFIXES
from chainrule.kernels.norm import normalised

# As in native/heads.cpp: tokens of a block, and the widest head there is room for.
TOKENS, WIDEST = 32, 512


def rotated(
    x: Float[Tensor, "*any T K"], cosine: Float[Tensor, "*one T K"], sine: Float[Tensor, "*one T K"]
) -> Float[Tensor, "*any T K"]:
    """Each component `i` turned together with component `i + K/2` (Su et al., arXiv 2104.09864), by torch."""
    cosine, sine = cosine.to(x.dtype), sine.to(x.dtype)
    first, second = x.chunk(2, dim=-1)
    return x * cosine + torch.cat((-second, first), dim=-1) * sine


def rotated_heads(
    projected: Float[Tensor, "B T W"],
    n_heads: tuple[int, int],
    rotation: tuple[Tensor, Tensor],
    norms: tuple[Tensor, Tensor] | None,
    eps: float,
) -> tuple[Tensor, Tensor, Tensor] | None:
    """Queries, keys and values, each [B, its heads, T, K]; queries and keys normalised by `norms`, then rotated.

    `n_heads` are those of the queries and of the keys, which follow each other in W = (queries + 2 keys) K. `rotation`
    has cosines and sines, float32 [T, K], computed with as they are: torch's operations round them to the format of
    `projected`. None where there is no kernel for them: nothing has been done then.
    """
    found = computed_or_none(_RotatedHeads(*n_heads, eps), projected, *rotation, *(norms or ()))
    return None if found is None else (found[0], found[1], found[2])


@dataclass(frozen=True)
class _RotatedHeads:
    n_queries: int
    n_keys: int
    eps: float

    def fits(self, x: Tensor, cosine: Tensor, sine: Tensor, *norms: Tensor) -> bool:
        width = x.shape[-1] // (self.n_queries + 2 * self.n_keys)
        plain = all(one.dtype == torch.float32 and one.is_contiguous() for one in (cosine, sine, *norms))
        there = cosine.shape == sine.shape == (x.shape[1], width) and not (cosine.requires_grad or sine.requires_grad)
        return x.dtype in SUFFIXES and plain and there and width % 2 == 0 and width <= WIDEST and x.numel() > 0

    def reference(self, x: Tensor, cosine: Tensor, sine: Tensor, *norms: Tensor) -> tuple[Tensor, ...]:
        sizes = (self.n_queries, self.n_keys, self.n_keys)
        q, k, v = torch.split(x.view(*x.shape[:2], sum(sizes), -1).transpose(1, 2), list(sizes), dim=1)
        if norms:
            q, k = normalised(q, norms[0], self.eps), normalised(k, norms[1], self.eps)
        return rotated(q, cosine, sine), rotated(k, cosine, sine), v

    def forward(
        self, x: Tensor, cosine: Tensor, sine: Tensor, *norms: Tensor
    ) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...]]:
        x = x.contiguous()
        batch, length, whole = x.shape
        width = whole // (self.n_queries + 2 * self.n_keys)
        shapes = ((batch, heads, length, width) for heads in (self.n_queries, self.n_keys, self.n_keys))
        parts = tuple(torch.empty(shape, dtype=x.dtype) for shape in shapes)
        weights = torch.cat(norms) if norms else None
        scales = torch.empty(batch * length * (self.n_queries + self.n_keys) if norms else 0)
        pointers = [*_pointers(x, cosine, sine, weights, *parts), scales.data_ptr()]
        native("heads_forward", x.dtype, "ppppppppnnnnnf")(
            *pointers, batch, length, self.n_queries, self.n_keys, width, self.eps
        )
        return parts, ((scales, weights) if weights is not None else ())

    def backward(
        self, gradients: tuple[Tensor, ...], inputs: tuple[Tensor, ...], kept: tuple[Tensor, ...]
    ) -> tuple[Tensor | None, ...]:
        x, cosine, sine, *norms = inputs
        x, (batch, length, whole) = x.contiguous(), x.shape
        width = whole // (self.n_queries + 2 * self.n_keys)
        scales, weights = kept or (None, None)
        found, learnt = torch.empty(x.shape, dtype=x.dtype), torch.empty(2, width)
        shares = torch.empty(-(-batch * length // TOKENS), 2, width)
        apart = [one.contiguous() for one in gradients]
        pointers = _pointers(*apart, x, cosine, sine, weights, scales, found, learnt, shares)
        native("heads_backward", x.dtype, "pppppppppppnnnnn")(
            *pointers, batch, length, self.n_queries, self.n_keys, width
        )
        return (found, None, None, *(learnt if norms else ()))


def _pointers(*tensors: Tensor | None) -> list[int | None]:
    return [None if one is None else one.data_ptr() for one in tensors]


def trial(dtype: torch.dtype, generator: torch.Generator) -> tuple[_RotatedHeads, *tuple[Tensor, ...]]:
    """The kernel and something to try it with."""
    x = torch.randn(2, 3, 4 * 34, generator=generator).to(dtype)
    cosine, sine = torch.randn(2, 3, 34, generator=generator)
    return _RotatedHeads(2, 1, 1e-5), x, cosine, sine, *torch.randn(2, 34, generator=generator)
