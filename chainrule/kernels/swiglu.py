"""SwiGLU's gate in one pass, with its gradient in another."""

import torch
from jaxtyping import Float
from torch import Tensor

from chainrule.kernels.fused import computed, native
from chainrule.kernels.library import SUFFIXES


def gated(gate: Float[Tensor, "*N"], up: Float[Tensor, "*N"]) -> Float[Tensor, "*N"]:
    """silu(gate) times up (Shazeer, arXiv 2002.05202)."""
    found: Tensor = computed(GATED, gate, up)
    return found


class _Gated:
    def fits(self, gate: Tensor, up: Tensor) -> bool:
        return gate.dtype in SUFFIXES and up.dtype == gate.dtype and up.shape == gate.shape and gate.numel() > 0

    def reference(self, gate: Tensor, up: Tensor) -> Tensor:
        return torch.nn.functional.silu(gate) * up

    def forward(self, gate: Tensor, up: Tensor) -> tuple[Tensor, tuple[Tensor, ...]]:
        gate, up = gate.contiguous(), up.contiguous()
        y = torch.empty(gate.shape, dtype=gate.dtype)
        native("swiglu_forward", gate.dtype, "pppn")(gate.data_ptr(), up.data_ptr(), y.data_ptr(), gate.numel())
        return y, ()

    def backward(self, gradient: Tensor, inputs: tuple[Tensor, ...], kept: tuple[Tensor, ...]) -> tuple[Tensor, Tensor]:
        gradient, gate, up = gradient.contiguous(), *(one.contiguous() for one in inputs)
        gate_gradient, up_gradient = torch.empty(gate.shape, dtype=gate.dtype), torch.empty(up.shape, dtype=up.dtype)
        pointers = (one.data_ptr() for one in (gradient, gate, up, gate_gradient, up_gradient))
        native("swiglu_backward", gate.dtype, "pppppn")(*pointers, gate.numel())
        return gate_gradient, up_gradient


GATED = _Gated()


def trial(dtype: torch.dtype, generator: torch.Generator) -> tuple[_Gated, Tensor, Tensor]:
    """The kernel and something to try it with."""
    gate, up = (4 * torch.randn(2, 3, 37, generator=generator)).to(dtype)
    return GATED, gate, up
