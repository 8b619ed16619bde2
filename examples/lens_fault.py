"""A fused layer norm whose gradient is 0.1 % too small, which torch.autograd.gradcheck accepts.

`python examples/lens_fault.py` asks gradcheck; `chainrule lens verify examples/lens_fault.py:make_model` finds the
fault and names it. The story is in docs/lens/proof.md.
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

WIDTH, CLASSES = 512, 10


class FusedLayerNorm(torch.autograd.Function):
    """Layer norm that keeps its result without weight and bias, and computes the deviation again on the way back."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        """Over the last axis."""
        y = functional.layer_norm(x, (x.shape[-1],))
        ctx.save_for_backward(x, y, weight)
        return y * weight + bias

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The formula is right. The deviation is not: `std` divides by n − 1, layer norm by n."""
        (g,), (x, y, weight) = gradients, ctx.saved_tensors
        h = g * weight
        inner = h - h.mean(-1, keepdim=True) - y * (h * y).mean(-1, keepdim=True)
        rows = tuple(range(g.dim() - 1))
        return inner / x.std(-1, keepdim=True), (g * y).sum(rows), g.sum(rows)


class Norm(nn.Module):
    """The layer as a model uses it."""

    def __init__(self) -> None:
        super().__init__()
        self.weight, self.bias = nn.Parameter(torch.ones(WIDTH)), nn.Parameter(torch.zeros(WIDTH))

    def forward(self, x: Tensor) -> Tensor:
        """The normalised input."""
        return FusedLayerNorm.apply(x, self.weight, self.bias)  # type: ignore[no-untyped-call]


def make_model() -> tuple[nn.Module, tuple[Tensor, ...], Any]:
    """A small classifier, its batch, and its loss."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(64, WIDTH), Norm(), nn.GELU(), nn.Linear(WIDTH, CLASSES))
    targets = torch.randint(0, CLASSES, (32,))
    return model, (torch.randn(32, 64),), lambda logits: functional.cross_entropy(logits, targets)


def main() -> None:
    """What gradcheck says of the layer, at the width that the model has."""
    torch.manual_seed(0)
    x = torch.randn(2, WIDTH, dtype=torch.float64, requires_grad=True)
    weight, bias = torch.ones(WIDTH, dtype=torch.float64, requires_grad=True), torch.zeros(WIDTH, dtype=torch.float64)
    accepted = torch.autograd.gradcheck(FusedLayerNorm.apply, (x, weight, bias))
    print(f"torch.autograd.gradcheck accepts the layer: {accepted}")


if __name__ == "__main__":
    main()
