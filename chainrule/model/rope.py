"""How fast each pair of a rotary head turns, and what slows it so that a trained context grows."""

import math
from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor

from chainrule.config import ModelConfig

Speeds = Float[Tensor, " pairs"]
"""Radians that each pair turns by from one place to the next, float32, the fastest first."""


def rope_speeds(config: ModelConfig, device: torch.device | None = None) -> Speeds:
    """The speeds of a model, slowed as its `rope_scaling` says; equal to the bit to transformers' of the same kind."""
    return SCALINGS[config.rope_scaling](unscaled_speeds(config, device), config)


def unscaled_speeds(config: ModelConfig, device: torch.device | None = None) -> Speeds:
    """base^(-2i/K) for pair i of a head of width K (Su et al., arXiv 2104.09864)."""
    exponents = torch.arange(0, config.head_dim, 2, device=device, dtype=torch.float32) / config.head_dim
    return 1.0 / config.rope_base**exponents


def _unscaled(speeds: Speeds, _config: ModelConfig) -> Speeds:
    return speeds


def _linear(speeds: Speeds, config: ModelConfig) -> Speeds:
    """Places closer together: n times the context looks like the one that was trained (Chen et al., 2306.15595)."""
    return speeds / config.rope_factor


def _llama3(speeds: Speeds, config: ModelConfig) -> Speeds:
    """Llama 3.1's: pairs that never went round in the original context are slowed, fast ones are left, a line between.

    The fast pairs tell neighbours apart, which a longer context must not blur.
    """
    low, high = config.rope_low_freq_factor, config.rope_high_freq_factor
    wavelengths = 2 * math.pi / speeds
    # Beyond its ends the line is cut, which transformers does with two comparisons: the numbers are the same.
    kept = ((config.rope_original_context / wavelengths - low) / (high - low)).clamp(0, 1)
    return (1 - kept) * speeds / config.rope_factor + kept * speeds


SCALINGS: dict[str, Callable[[Speeds, ModelConfig], Speeds]] = {
    "none": _unscaled,
    "linear": _linear,
    "llama3": _llama3,
}
