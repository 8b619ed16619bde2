"""How far rounding alone moves a gradient: a model of rounding errors, and the noise that stands for them.

Each operation is done as if it were exact, then made wrong by random relative errors of the size that its number
format has (Monte Carlo arithmetic: D. S. Parker, 1997). An error is uniform in ±u, where u is the unit roundoff, half
the distance from 1 to the next number. In a sum of n terms each term is wrong by up to √n·u (N. J. Higham and T. Mary,
"A new approach to probabilistic rounding error analysis", 2019), u being that of the format in which the sum is kept.
"""

import torch
from torch import Tensor

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
_READING = "_cdist_forward addmm baddbmm bmm convolution div dot linalg_vector_norm mm mul mv"
READ_AS_IS = frozenset(_READING.split())


def unit_roundoff(dtype: torch.dtype) -> float:
    """The largest relative error of rounding to this format: 2⁻⁵³, 2⁻²⁴, 2⁻¹¹, 2⁻⁸ for float64, 32, 16 and bfloat16."""
    return torch.finfo(dtype).eps / 2


def accumulator(dtype: torch.dtype) -> torch.dtype:
    """The format in which a sum of such numbers is kept."""
    return ACCUMULATOR.get(dtype, dtype)


class Noise:
    """Random relative errors, drawn from one seed, `scale` times as large as rounding makes them."""

    def __init__(self, seed: int, scale: float = 1.0) -> None:
        self.generator = torch.Generator().manual_seed(seed)
        self.scale = scale

    def __call__(self, tensor: Tensor, relative: float) -> Tensor:
        """The tensor, each element wrong by up to `relative`·scale of itself; integers stay as they are."""
        if not (tensor.is_floating_point() or tensor.is_complex()) or not relative:
            return tensor
        # Drawn in float32, which takes half the time: that the errors are random matters, not their last digits.
        error = torch.empty(tensor.shape).uniform_(-1.0, 1.0, generator=self.generator).to(tensor.dtype.to_real())
        # A factor above 0 and not a summand: minus infinity, as in a mask, stays what it is.
        return error.mul_(relative * self.scale).add_(1.0) * tensor
