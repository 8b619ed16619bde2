"""A small model whose gradients PyTorch's compiler makes wrong in silence: `chainrule lens check` says so.

chainrule lens check examples/lens_compiled.py:make_model
"""

import torch
from torch import Tensor, nn


class NearestAngle(nn.Module):
    """The smallest of the angles between the points (x, y) and the first axis, summed over the rows."""

    def __init__(self) -> None:
        super().__init__()
        self.x = nn.Parameter(torch.randn(2, 3))

    def forward(self, y: Tensor) -> Tensor:
        """A scalar."""
        return torch.atan2(self.x, y).amin(-1).sum()


def make_model() -> tuple[nn.Module, tuple[Tensor]]:
    """The model and its input; its result is the loss."""
    torch.manual_seed(0)
    return NearestAngle(), (torch.randn(2, 3),)
