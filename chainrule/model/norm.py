"""Norms: what keeps the residual stream in range from block to block."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from chainrule.config import ModelConfig
from chainrule.kernels import rms_norm


class LayerNorm(nn.Module):
    """Mean 0 and variance 1 over the last axis, then a learned scale and shift (Ba et al., arXiv 1607.06450)."""

    def __init__(self, width: int, config: ModelConfig) -> None:
        super().__init__()
        self.eps = config.norm_eps
        self.weight = nn.Parameter(torch.ones(width))
        self.bias = nn.Parameter(torch.zeros(width)) if config.bias else None

    def forward(self, x: Float[Tensor, "... D"]) -> Float[Tensor, "... D"]:
        """Normalised in float32 whatever the dtype of `x`, and returned in that dtype."""
        return nn.functional.layer_norm(x, x.shape[-1:], self.weight.to(x.dtype), _like(self.bias, x), self.eps)


class RMSNorm(nn.Module):
    """Root mean square 1 over the last axis, then a learned scale (Zhang and Sennrich, arXiv 1910.07467)."""

    def __init__(self, width: int, config: ModelConfig) -> None:
        super().__init__()
        self.eps = config.norm_eps
        self.weight = nn.Parameter(torch.ones(width))

    def forward(self, x: Float[Tensor, "... D"]) -> Float[Tensor, "... D"]:
        """Normalised in float32 at least, and returned in the dtype of `x`."""
        return rms_norm(x, self.weight, self.eps)


def _like(parameter: Tensor | None, x: Tensor) -> Tensor | None:
    return None if parameter is None else parameter.to(x.dtype)


NORMS: dict[str, type[LayerNorm] | type[RMSNorm]] = {"layernorm": LayerNorm, "rmsnorm": RMSNorm}
