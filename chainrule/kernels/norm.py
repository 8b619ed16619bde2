"""RMSNorm in one pass over each row, with its gradient in another."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from chainrule.kernels.fused import computed, native
from chainrule.kernels.library import SUFFIXES

# As in native/norm.cpp: rows whose shares of the weight's gradient are added up first.
ROWS = 64


def rms_norm(x: Float[Tensor, "... D"], weight: Float[Tensor, " D"], eps: float) -> Float[Tensor, "... D"]:
    """X / √(mean(x²) + eps) times weight, normalised in float32 at least, in the dtype of `x`."""
    found: Tensor = computed(_RMSNorm(eps), x, weight)
    return found


def normalised(x: Float[Tensor, "... D"], weight: Float[Tensor, " D"], eps: float) -> Float[Tensor, "... D"]:
    """`rms_norm` by torch's operations."""
    wide = x if x.dtype == torch.float64 else x.float()
    scale = torch.rsqrt(wide.square().mean(-1, keepdim=True) + eps)
    return (wide * scale * weight).to(x.dtype)


@dataclass(frozen=True)
class _RMSNorm:
    eps: float

    def fits(self, x: Tensor, weight: Tensor) -> bool:
        return x.dtype in SUFFIXES and weight.dtype == torch.float32 and x.numel() > 0 and weight.is_contiguous()

    def reference(self, x: Tensor, weight: Tensor) -> Tensor:
        return normalised(x, weight, self.eps)

    def forward(self, x: Tensor, weight: Tensor) -> tuple[Tensor, tuple[Tensor, ...]]:
        rows = _rows(x)
        n_rows, width = rows.shape
        y, scales = torch.empty(x.shape, dtype=x.dtype), torch.empty(n_rows)
        native("rms_norm_forward", x.dtype, "pnpppnnf")(
            rows.data_ptr(),
            rows.stride(0),
            weight.data_ptr(),
            y.data_ptr(),
            scales.data_ptr(),
            n_rows,
            width,
            self.eps,
        )
        return y, (scales,)

    def backward(self, gradient: Tensor, inputs: tuple[Tensor, ...], kept: tuple[Tensor, ...]) -> tuple[Tensor, Tensor]:
        (x, weight), (scales,) = inputs, kept
        rows, gradient = _rows(x), gradient.contiguous()
        n_rows, width = rows.shape
        x_gradient, weight_gradient = torch.empty(x.shape, dtype=x.dtype), torch.empty(width)
        shares = torch.empty(-(-n_rows // ROWS), width)
        native("rms_norm_backward", x.dtype, "ppnpppppnn")(
            gradient.data_ptr(),
            rows.data_ptr(),
            rows.stride(0),
            weight.data_ptr(),
            scales.data_ptr(),
            x_gradient.data_ptr(),
            weight_gradient.data_ptr(),
            shares.data_ptr(),
            n_rows,
            width,
        )
        return x_gradient, weight_gradient


def _rows(x: Tensor) -> Float[Tensor, "N D"]:
    """`x` as rows of neighbouring numbers, one stride apart: where it lies, or a copy."""
    rows = x.reshape(-1, x.shape[-1])
    return rows if rows.stride(1) == 1 or rows.shape[1] == 1 else rows.contiguous()


def trial(dtype: torch.dtype, generator: torch.Generator) -> tuple[_RMSNorm, Tensor, Tensor]:
    """The kernel and something to try it with."""
    x = torch.randn(3, 37, generator=generator).to(dtype)
    return _RMSNorm(1e-5), x, torch.randn(37, generator=generator)
