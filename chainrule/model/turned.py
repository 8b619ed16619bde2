"""A linear layer in float32 whose weight lies in the order in which it is read fastest; for reading only."""

import torch
from jaxtyping import Float
from torch import Tensor

from chainrule.model.packed import PackedLinear


class TurnedLinear(PackedLinear):
    """The weight as it is, as [K, N] where the layer has at least as many outputs as inputs, else as it was given.

    One thread of a Zen 4, GPT-2 124M's layers and head from memory, milliseconds a token, contended, best of four:
    one row 37 by torch's linear (12.6 GB/s) and 25 so (19); 32 rows 146 by MKL and 108 by oneDNN, of either order.
    """

    def __init__(self, weight: Float[Tensor, "N K"], bias: Tensor | None = None) -> None:
        super().__init__()
        self.is_turned = weight.shape[0] >= weight.shape[1]
        turned = weight.detach().float().t().contiguous() if self.is_turned else None
        self.weight = weight.detach().float() if turned is None else turned.t()
        self.turned = turned
        self.bias = bias
        self.product = torch.ops.mkldnn._linear_pointwise

    def rows(self, x: Float[Tensor, "M K"]) -> Float[Tensor, "M N"]:
        """The product without the bias, in float32."""
        x = x.float()
        if self.turned is not None and len(x) == 1:
            return torch.mm(x, self.turned)
        result: Tensor = self.product(x, self.weight, None, "none", [], "")
        return result
