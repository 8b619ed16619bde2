"""GELU in GPT-2's tanh form, with its gradient, by a quick exponential."""

import torch
from jaxtyping import Float
from torch import Tensor

from chainrule.kernels.fused import computed, native
from chainrule.kernels.library import SUFFIXES


def gelu(x: Float[Tensor, "*N"]) -> Float[Tensor, "*N"]:
    """x/2 (1 + tanh(√(2/π) (x + 0.044715 x³))) (Hendrycks and Gimpel, arXiv 1606.08415)."""
    found: Tensor = computed(GELU, x)
    return found


class _GELU:
    def fits(self, x: Tensor) -> bool:
        return x.dtype in SUFFIXES and x.numel() > 0

    def reference(self, x: Tensor) -> Tensor:
        return torch.nn.functional.gelu(x, approximate="tanh")

    def forward(self, x: Tensor) -> tuple[Tensor, tuple[Tensor, ...]]:
        x = x.contiguous()
        y = torch.empty_like(x)
        native("gelu_forward", x.dtype, "ppn")(x.data_ptr(), y.data_ptr(), x.numel())
        return y, ()

    def backward(self, gradient: Tensor, inputs: tuple[Tensor, ...], kept: tuple[Tensor, ...]) -> tuple[Tensor]:
        gradient, x = gradient.contiguous(), inputs[0].contiguous()
        found = torch.empty_like(x)
        native("gelu_backward", x.dtype, "pppn")(gradient.data_ptr(), x.data_ptr(), found.data_ptr(), x.numel())
        return (found,)


GELU = _GELU()


def trial(dtype: torch.dtype, generator: torch.Generator) -> tuple[_GELU, Tensor]:
    """The kernel and something to try it with."""
    return GELU, (4 * torch.randn(3, 37, generator=generator)).to(dtype)
