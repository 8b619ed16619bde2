"""Linear layers whose weights are packed into 8 or 4 bits, multiplied by torch's own operations; for reading only.

A token that is written costs one pass over all weights, so fewer bytes a weight are more tokens a second. Nothing here
can be trained: weights are plain attributes, and no gradient goes through. `dequantised` is the slow reference of each.
"""

from collections.abc import Callable
from functools import cache

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

# torch's 8-bit product reads 16 numbers at a time and past the end of a row of any other width: NaN, or a crash.
PACK_WIDTH = 16
# Up to here torch's 8-bit product wins over whole numbers, which first need the activations in two bytes: 6 against
# 38 µs of calls a layer with one row, 0.75 against 0.33 ms of work with 16 rows of 3,072 × 576 (one thread of a Zen 4).
FEW_ROWS = 4
# Weights that share a scale and a zero in 4 bits.
GROUP = 32
# Of the reach of two bytes, 128 × 255, what keeps the upper byte within 127 after rounding.
TWO_BYTES = 32_512
TINY = 1e-30
# Shares of a group's range that are tried: its extremes cut off a little, most weights are nearer to a level.
SHRINKAGES = (1.0, 0.95, 0.9, 0.85)


class PackedLinear(nn.Module):
    """What stands in the place of a linear layer: `rows` multiplies, the rest is here."""

    bias: Tensor | None

    def rows(self, x: Float[Tensor, "M K"]) -> Float[Tensor, "M N"]:
        """The product without the bias, in bfloat16 or float32."""
        raise NotImplementedError

    def forward(self, x: Float[Tensor, "... K"]) -> Float[Tensor, "... N"]:
        """The layer in the dtype of `x`."""
        y = self.rows(x.reshape(-1, x.shape[-1])).to(x.dtype).view(*x.shape[:-1], -1)
        return y if self.bias is None else y + self.bias


class Int8Linear(PackedLinear):
    """A scale for each output and whole numbers within ±127: y = scale ⊙ (Q x) + bias.

    Up to `few_rows` rows are multiplied by torch's packed product, which rounds them and the result to bfloat16; more
    by whole numbers (where they are exact), each activation in two bytes: their sums cannot depend on what else is in
    the batch, and the result is rounded once, in float32. With `few_rows=0` a row's bits are the same in any company.
    """

    def __init__(self, weight: Float[Tensor, "N K"], bias: Tensor | None = None, few_rows: int = FEW_ROWS) -> None:
        super().__init__()
        self.packed, self.scale = eight_bits(weight.float())
        self.narrow_scale = self.scale.bfloat16()
        self.tiny = torch.tensor(TINY)
        self.bias = bias
        self.few_rows = few_rows

    def rows(self, x: Float[Tensor, "M K"]) -> Float[Tensor, "M N"]:
        """The product without the bias."""
        return self._packed_product(x) if len(x) <= self.few_rows else self._whole_product(x.float())

    def dequantised(self) -> Float[Tensor, "N K"]:
        """The weights that the packed ones stand for."""
        return self.packed.float() * self.scale[:, None]

    def _packed_product(self, rows: Float[Tensor, "M K"]) -> Tensor:
        return torch._weight_int8pack_mm(rows.bfloat16(), self.packed, self.narrow_scale)

    def _whole_product(self, rows: Float[Tensor, "M K"]) -> Float[Tensor, "M N"]:
        """256 (high byte · Q) + low byte · Q, the bytes of all rows as one matrix of twice as many."""
        n_rows = len(rows)
        largest = torch.linalg.vector_norm(rows, torch.inf, -1, True)
        unit = torch.add(self.tiny, largest, alpha=1 / TWO_BYTES)
        fixed = (rows / unit).round_().to(torch.int16)
        # The low byte is read with its sign, from -128 to 127, so the high one is that of the number plus 128.
        # Little-endian: the low byte comes first (every processor that torch is built for).
        high, low = (fixed + 128).view(torch.int8)[:, 1::2], fixed.view(torch.int8)[:, ::2]
        sums = torch._int_mm(torch.cat((high, low)), self.packed.t()).float()
        return torch.add(sums[n_rows:], sums[:n_rows], alpha=256).mul_(unit).mul_(self.scale)


class Int4Linear(PackedLinear):
    """16 levels between a group's extremes: w = (level - 8) scale + zero, for each 32 neighbours of a row.

    `levels` are 0 to 15, int32; the product is computed in bfloat16. `int4_fits` says which shapes it takes.
    """

    def __init__(
        self, levels: Int[Tensor, "N K"], scale_and_zero: Float[Tensor, "G N 2"], bias: Tensor | None = None
    ) -> None:
        super().__init__()
        self.levels = torch.ops.aten._convert_weight_to_int4pack_for_cpu(levels, 1)
        self.scale_and_zero = scale_and_zero
        self.bias = bias
        self.group = levels.shape[1] // len(scale_and_zero)

    def rows(self, x: Float[Tensor, "M K"]) -> Float[Tensor, "M N"]:
        """The product without the bias."""
        return torch._weight_int4pack_mm_for_cpu(x.bfloat16(), self.levels, self.group, self.scale_and_zero)


class BFloat16Linear(PackedLinear):
    """The weights in half their bytes, multiplied in bfloat16."""

    def __init__(self, weight: Float[Tensor, "N K"], bias: Tensor | None = None) -> None:
        super().__init__()
        self.weight = weight.bfloat16()
        self.bias = bias

    def rows(self, x: Float[Tensor, "M K"]) -> Float[Tensor, "M N"]:
        """The product without the bias."""
        return nn.functional.linear(x.bfloat16(), self.weight)


class JoinedSwiGLU(nn.Module):
    """A gated feed-forward layer whose gate and up projection are one product: a call less for each token."""

    def __init__(self, gate_and_up: nn.Module, down: nn.Module) -> None:
        super().__init__()
        self.gate_and_up, self.down = gate_and_up, down

    def forward(self, x: Float[Tensor, "... D"]) -> Float[Tensor, "... D"]:
        """Acts on each token alone."""
        gate, up = self.gate_and_up(x).chunk(2, -1)
        return self.down(nn.functional.silu(gate).mul_(up))


def rows_product(layer: nn.Module) -> Callable[[Tensor], Tensor]:
    """How rows are multiplied by a layer in the fewest calls: past torch's hooks, and past what only a bias needs."""
    return layer.rows if isinstance(layer, PackedLinear) and layer.bias is None else layer.forward


def linear_of(weight: Tensor, bias: Tensor | None) -> nn.Linear:
    """A linear layer around tensors that are there."""
    made = nn.Linear(weight.shape[1], weight.shape[0], bias=bias is not None, device="meta")
    made.weight = nn.Parameter(weight.detach(), requires_grad=False)
    if bias is not None:
        made.bias = nn.Parameter(bias.detach(), requires_grad=False)
    return made


def joined(first: nn.Linear, second: nn.Linear) -> nn.Linear:
    """One layer that gives the outputs of both, the first's before the second's; both have a bias, or neither."""
    bias = None
    if first.bias is not None and second.bias is not None:
        bias = torch.cat((first.bias, second.bias))
    return linear_of(torch.cat((first.weight, second.weight)), bias)


@cache
def whole_numbers_are_exact() -> bool:
    """Whether torch adds products of 8-bit numbers up without a loss here.

    oneDNN adds pairs of them in 16 bits where a processor lacks VNNI, and cuts the sum off at 32,767 without a word:
    seen with torch 2.13 held to AVX2, and to AVX-512 without VNNI.
    """
    most = torch.full((64, 64), 127, dtype=torch.int8)
    return all(
        bool((torch._int_mm(most[:n_rows] * sign, most) == sign * 64 * 127**2).all())
        for n_rows in (1, 2, 64)
        for sign in (1, -1)
    )


def eight_bits(weight: Float[Tensor, "N K"]) -> tuple[Int[Tensor, "N K"], Float[Tensor, " N"]]:
    """Whole numbers within ±127 and a scale for each row."""
    # bfloat16 is what torch's packed product takes; rounded before the weights are, so that both know the same scale.
    scale = (torch.linalg.vector_norm(weight, torch.inf, 1, True) / 127).clamp(min=TINY).bfloat16().float()
    return (weight / scale).round_().clamp_(-127, 127).to(torch.int8), scale.squeeze(1)


def int8_fits(weight: Float[Tensor, "N K"]) -> bool:
    """Whether torch's packed 8-bit product takes a weight of this shape; whole numbers take any."""
    return weight.shape[1] % PACK_WIDTH == 0


def int4_fits(weight: Float[Tensor, "N K"], group: int = GROUP) -> bool:
    """Whether torch's 4-bit product takes a weight of this shape."""
    return weight.shape[0] % 16 == 0 and weight.shape[1] % group == 0


def four_bits(weight: Float[Tensor, "N K"], group: int = GROUP) -> tuple[Tensor, Tensor]:
    """Levels from 0 to 15 (int32 [N, K]), and for each group its scale and zero (bfloat16 [K/group, N, 2]).

    The extremes that serve a group best are searched for, by squared error.
    """
    groups = weight.view(len(weight), -1, group)
    low, high = groups.aminmax(dim=-1, keepdim=True)
    best = _levels_within(groups, low, high, SHRINKAGES[0])
    for share in SHRINKAGES[1:]:
        trial = _levels_within(groups, low, high, share)
        better = trial[3] < best[3]
        best = tuple(torch.where(better, new, old) for new, old in zip(trial, best, strict=True))
    levels, scale, zero, _ = best
    return levels.flatten(1).int(), torch.cat((scale, zero), -1).transpose(0, 1).contiguous().bfloat16()


def _levels_within(groups: Tensor, low: Tensor, high: Tensor, share: float) -> tuple[Tensor, ...]:
    """Levels, scale, zero and squared error of each group, when its levels span `share` of its range."""
    half, middle = (high - low) * (share / 2), (high + low) / 2
    # Rounded to what the product reads before the levels are chosen, which makes up for it.
    scale = (half / 7.5).clamp(min=TINY).bfloat16().float()
    zero = (middle - half + 8 * scale).bfloat16().float()
    levels = ((groups - zero) / scale).round().clamp(-8, 7)
    error = (levels * scale + zero - groups).square().sum(-1, keepdim=True)
    return levels + 8, scale, zero, error


def dequantised(levels: Int[Tensor, "N K"], scale_and_zero: Float[Tensor, "G N 2"]) -> Float[Tensor, "N K"]:
    """The weights that `four_bits` stand for."""
    groups = levels.view(len(levels), len(scale_and_zero), -1)
    scale, zero = scale_and_zero.float().transpose(0, 1).chunk(2, -1)
    return ((groups - 8) * scale + zero).flatten(1)


def is_packed(model: nn.Module) -> bool:
    """Whether any of its linear layers is a packed one."""
    return any(isinstance(module, PackedLinear) for module in model.modules())
