"""A layer of PyTorch whose gradient in float64 is only as good as float32: `chainrule lens verify` says so.

chainrule lens verify examples/lens_hardsigmoid.py:make_model
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn


def make_model() -> tuple[nn.Module, tuple[Tensor], Callable[[Tensor], Tensor]]:
    """The model, its input and its loss."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 8), nn.Hardsigmoid(), nn.Linear(8, 1))
    return model, (torch.randn(5, 4, dtype=torch.float64),), lambda output: output.pow(2).mean()
