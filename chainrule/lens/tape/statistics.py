"""A tensor in a few numbers."""

import math

import torch
from torch import Tensor

from chainrule.lens.tape.nodes import Stats


@torch.no_grad()
def measure(tensor: Tensor) -> Stats:
    """Smallest, largest, mean, standard deviation (of the population) and Euclidean norm over the finite elements.

    Computed in float64. All five are NaN where no element is finite, as for an empty tensor.
    """
    wide = tensor.detach().to(device="cpu", dtype=torch.float64 if not tensor.is_complex() else torch.complex128)
    wide = wide.abs() if wide.is_complex() else wide
    n_nan, n_inf = int(wide.isnan().sum()), int(wide.isinf().sum())
    finite = wide[wide.isfinite()] if n_nan or n_inf else wide
    if not finite.numel():
        return Stats(math.nan, math.nan, math.nan, math.nan, math.nan, n_nan, n_inf)
    return Stats(
        float(finite.min()),
        float(finite.max()),
        float(finite.mean()),
        float(finite.std(correction=0)),
        float(torch.linalg.vector_norm(finite)),
        n_nan,
        n_inf,
    )
