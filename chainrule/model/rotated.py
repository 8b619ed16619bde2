"""8-bit weights behind a rotation, multiplied as whole numbers by fbgemm, which torch for x86 brings along."""

import math
import warnings
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from chainrule.model.packed import TINY, PackedLinear, eight_bits

# The two numbers of an activation: steps within its row's largest, and parts of such a step. fbgemm counts both from 0
# to 128: without VNNI it adds pairs of products up in 16 bits, and 2 × 128 × 127 is below 32,767.
HIGH, LOW = 64, 128
# Neighbours that a rotation mixes, at most; and groups of them that a row has at least, where it can: with fewer rows
# the library adds up in another order, and a row alone would have other bits.
ROTATED, LEAST_GROUPS = 64, 8


class RotatedInt8Linear(PackedLinear):
    """Rotated weights as whole numbers of 8 bits, and each activation in two of 7, which are two rows of one product.

    A few large numbers of a row make its steps large, and the rest coarse. A Hadamard rotation of neighbours spreads
    them (QuaRot: Ashkboos et al., arXiv 2404.00456); the activations are rotated alike, which changes no product.
    fbgemm (in torch for x86) reads packed weights in order, from memory twice as fast as others, and takes no longer
    for two rows than for one. It adds whole numbers up: a row's bits are the same in any company.
    """

    def __init__(self, weight: Float[Tensor, "N K"], bias: Tensor | None = None) -> None:
        super().__init__()
        self.bias, self.hadamard = bias, hadamard(weight.shape[1])
        whole, scale = eight_bits(_rotated(weight.float(), self.hadamard))
        self.packed = _prepacked(whole, scale / LOW)
        self.product = torch.ops.quantized.linear_with_input_q_dq_qweight_dq_output_fp32.default
        self.tiny = torch.tensor(TINY)
        self.of_rounded, self.of_exact = torch.tensor([[[1.0]], [[-LOW]]]), torch.tensor([[[0.0]], [[LOW]]])

    def rows(self, x: Float[Tensor, "M K"]) -> Float[Tensor, "M N"]:
        """The product without the bias."""
        x = _rotated(x.float(), self.hadamard)
        unit = torch.add(self.tiny, torch.linalg.vector_norm(x, torch.inf, -1, True), alpha=1 / HIGH)
        exact = x / unit
        # [rounded, 128 (exact - rounded)], both within ±64: two calls, where a concatenation alone takes 5 µs.
        pairs = torch.addcmul(exact.round() * self.of_rounded, exact, self.of_exact).view(-1, x.shape[-1])
        high, low = self.product(pairs, 1.0, HIGH, self.packed).chunk(2)
        return torch.add(low, high, alpha=LOW).mul_(unit)

    def dequantised(self) -> Float[Tensor, "N K"]:
        """The weights that the packed ones stand for."""
        rotated, _ = torch.ops.quantized.linear_unpack(self.packed)
        return _rotated(rotated.dequantize() * LOW, self.hadamard)


def hadamard(width: int) -> Float[Tensor, "n n"]:
    """Sylvester's orthogonal matrix of ±1/√n for rows of `width` numbers: its own inverse."""
    made = torch.ones(1, 1)
    while 2 * len(made) <= min(ROTATED, width // LEAST_GROUPS) and width % (2 * len(made)) == 0:
        made = torch.cat((torch.cat((made, made), 1), torch.cat((made, -made), 1)))
    return made / math.sqrt(len(made))


def _rotated(x: Float[Tensor, "M K"], matrix: Float[Tensor, "n n"]) -> Float[Tensor, "M K"]:
    return torch.mm(x.reshape(-1, len(matrix)), matrix).view(x.shape)


def _prepacked(packed: Int[Tensor, "N K"], scale: Float[Tensor, " N"]) -> Any:
    """The weights in the order in which fbgemm reads them."""
    zeros = torch.zeros(len(scale), dtype=torch.int64)
    with warnings.catch_warnings():
        # torch 2.13 says that tensors of quantised types will go (pytorch issue 184982). Here one is on its way into
        # the packed weights; where they are gone, `quantised` takes the next best product.
        warnings.simplefilter("ignore", UserWarning)
        whole = torch._make_per_channel_quantized_tensor(packed, scale.double(), zeros, 0)
    return torch.ops.quantized.linear_prepack(whole, None)
