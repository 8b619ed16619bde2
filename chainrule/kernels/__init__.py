"""Operations of a model as one call of our own in the place of several of torch's, each with its reference."""

from chainrule.kernels._gelu import gelu
from chainrule.kernels.attention import causal_attention
from chainrule.kernels.cross_entropy import cross_entropies, loss_turned_into_gradient
from chainrule.kernels.heads import rotated, rotated_heads
from chainrule.kernels.norm import rms_norm
from chainrule.kernels.swiglu import gated
from chainrule.kernels.symmetric import halves_products, short_side_factors, symmetric_products
from chainrule.kernels.use import Kernels, use_kernels

__all__ = [
    "Kernels",
    "causal_attention",
    "cross_entropies",
    "gated",
    "gelu",
    "halves_products",
    "loss_turned_into_gradient",
    "rms_norm",
    "rotated",
    "rotated_heads",
    "short_side_factors",
    "symmetric_products",
    "use_kernels",
]
