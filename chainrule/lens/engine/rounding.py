"""How far rounding alone moves a gradient: a model of rounding errors, and the noise that stands for them.

Each operation is done as if it were exact, then made wrong by random relative errors of the size that its number
format has (Monte Carlo arithmetic: D. S. Parker, 1997). An error is uniform in ±u, where u is the unit roundoff, half
the distance from 1 to the next number. In a sum of n terms each term is wrong by up to √n·u (N. J. Higham and T. Mary,
"A new approach to probabilistic rounding error analysis", 2019), u being that of the format in which the sum is kept.
"""

import torch
from torch import Tensor

BLOCK = 2**20

# Sums of 16-bit numbers are kept in float32 by every kernel of torch.
ACCUMULATOR = {torch.float16: torch.float32, torch.bfloat16: torch.float32}

# The results of these are copies of numbers that were there: nothing is rounded.
_COPYING = """
    adaptive_max_pool2d alias amax amin aminmax arange as_strided bernoulli cat ceil chunk clamp clamp_max clamp_min
    clone constant_pad_nd copy cummax cummin detach diagonal embedding empty empty_like empty_permuted expand fill
    flip floor full full_like gather index index_fill index_select kthvalue lift_fresh _local_scalar_dense
    masked_fill masked_scatter max max_pool2d_with_indices max_pool3d_with_indices maximum median min minimum mode
    nanmedian narrow neg new_empty new_full new_ones new_zeros ones ones_like permute pixel_shuffle relu repeat
    reshape _reshape_alias roll round scalar_tensor scatter select select_scatter sign slice slice_scatter sort
    split split_with_sizes squeeze stack t threshold topk transpose tril triu trunc unbind unfold unsafe_split
    _unsafe_view unsqueeze view view_as where write_through zero zeros zeros_like
"""
EXACT = frozenset(_COPYING.split())

# Rules that read no more than factors, so that there is nothing inside that could cancel, or that compare what they
# read with the result, which noise would make unequal.
_READING = """
    _cdist_forward addmm baddbmm bmm convolution div dot index_reduce linalg_vector_norm mm mul mv scatter_reduce
    segment_reduce
"""
READ_AS_IS = frozenset(_READING.split())


def unit_roundoff(dtype: torch.dtype) -> float:
    """The largest relative error of rounding to this format: 2⁻⁵³, 2⁻²⁴, 2⁻¹¹, 2⁻⁸ for float64, 32, 16 and bfloat16."""
    return torch.finfo(dtype).eps / 2


def accumulator(dtype: torch.dtype) -> torch.dtype:
    """The format in which a sum of such numbers is kept."""
    return ACCUMULATOR.get(dtype, dtype)


class Noise:
    """Random relative errors, drawn from one seed, `scale` times as large as rounding makes them.

    A tensor of more than `BLOCK` elements gets the same errors again after so many: to draw anew for each weight of a
    large model would take most of the time, and errors that far apart do not meet in one sum in the same order.
    """

    def __init__(self, seed: int, scale: float = 1.0) -> None:
        self.generator = torch.Generator().manual_seed(seed)
        self.scale = scale
        self.stock: Tensor | None = None

    def __call__(self, tensor: Tensor, relative: float) -> Tensor:
        """The tensor, each element wrong by up to `relative`·scale of itself; integers stay as they are."""
        if not (tensor.is_floating_point() or tensor.is_complex()) or not relative or not tensor.numel():
            return tensor
        # Factors above 0 and not summands: minus infinity, as in a mask, stays what it is.
        factors = self._errors(min(tensor.numel(), BLOCK)).mul(relative * self.scale).add_(1.0)
        factors = factors.to(tensor.dtype.to_real())
        if tensor.numel() <= BLOCK:
            return tensor * factors.reshape(tensor.shape)
        flat, made = tensor.reshape(-1), torch.empty(tensor.shape, dtype=tensor.dtype)
        out = made.view(-1)
        for start in range(0, len(flat), BLOCK):
            part = flat[start : start + BLOCK]
            torch.mul(part, factors[: len(part)], out=out[start : start + BLOCK])
        return made

    def _errors(self, n: int) -> Tensor:
        """Uniform in ±1: new ones for a small tensor, a piece of a stock for a large one."""
        if n < BLOCK:
            return torch.empty(n, dtype=torch.float64).uniform_(-1.0, 1.0, generator=self.generator)
        if self.stock is None:
            self.stock = torch.empty(2 * BLOCK, dtype=torch.float64).uniform_(-1.0, 1.0, generator=self.generator)
        start = int(torch.randint(BLOCK, (), generator=self.generator))
        return self.stock[start : start + BLOCK]
