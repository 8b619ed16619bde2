"""Matrices made orthogonal by nothing but matrix products: each singular value is moved towards 1."""

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from chainrule.kernels import halves_products, short_side_factors, symmetric_products

Polynomial = tuple[float, float, float]

# x (a + b x² + c x⁴) for each step. Every one is the polynomial whose largest distance from 1 is least on the interval
# that the one before it leaves, beginning with [0.02, 1] (the idea of Polar Express, arXiv 2505.16932); the interval
# ends as 1 ± 0.093, and what begins below 0.02 ends in proportion, up to 55 times as large. `benchmarks/muon.py
# --derive` computes them. Five steps of one polynomial (Jordan et al. 2024) end as 0.7 to 1.2, at twice the work.
STEPS: tuple[Polynomial, ...] = (
    (7.71096928501664, -22.11375494634142, 16.24874313366804),
    (3.2152760113681715, -2.411172075451456, 0.5013000306822537),
    (2.218307746373597, -1.593989621413362, 0.4107478889696067),
)
# Beyond 1 the first polynomial is steep, and bfloat16 knows the bound of the largest singular value to a percent.
MARGIN = {torch.bfloat16: 1.02}
# Where the long side is this many times the short one, products of short x short matrices replace the others: for
# 192 x 512 20 ms instead of 26. They hold squares of singular values, for which bfloat16 is too coarse. All of them are
# symmetric: where kernels of our own compute half of each, they are the quickest for squares too.
GRAM_RATIO = 1.5
# Squared norms below it count as it: zeros are then divided by no zero. The bound of a square whose trace is 1 is at
# least a thousandth for any matrix that fits in memory.
LEAST_SQUARED_NORM, LEAST_BOUND = 1e-30, 1e-9


class Factors(NamedTuple):
    """Matrices whose product is orthogonal: `left @ right`."""

    left: Float[Tensor, "N R K"]
    right: Float[Tensor, "N K C"]


def orthogonalise(matrices: Float[Tensor, "N R C"]) -> Float[Tensor, "N R C"]:
    """The same singular vectors with singular values near 1: 0.9 to 1.1 for those above a thirtieth of the largest.

    Smaller ones end in proportion. Computed in the format of `matrices` (bfloat16: 0.8 to 1.2, from a twentieth on). A
    matrix of zeros stays one.
    """
    return torch.bmm(*orthogonal_factors(matrices))


def orthogonal_factors(x: Float[Tensor, "N R C"]) -> Factors:
    """`orthogonalise` without its last product, for who adds that to something at once."""
    tall = x.shape[1] > x.shape[2]
    short, long = sorted(x.shape[1:])
    factor = short_side_factors(x.mT if tall else x, STEPS, (LEAST_SQUARED_NORM, LEAST_BOUND))
    if factor is not None:
        return Factors(x, factor) if tall else Factors(factor, x)
    square = _square(x, tall=tall)
    polynomial, scale = _first(square, MARGIN.get(x.dtype, 1.0))
    if halves_products(x) or (long >= GRAM_RATIO * short and x.dtype != torch.bfloat16):
        factor = _on_the_short_side(square, polynomial).mul_(scale)
        return Factors(x, factor) if tall else Factors(factor, x)
    polynomial.mul_(scale)
    for step in STEPS[1:]:
        x = torch.bmm(x, polynomial) if tall else torch.bmm(polynomial, x)
        _polynomial(_square(x, square, tall=tall), step, polynomial)
    return Factors(x, polynomial) if tall else Factors(polynomial, x)


def _on_the_short_side(square: Tensor, polynomial: Tensor) -> Tensor:
    """The product of all polynomials; all of these matrices commute, so X need not be multiplied in between."""
    product, room, following = polynomial, torch.empty_like(square), torch.empty_like(square)
    for step in STEPS[1:]:
        symmetric_products(polynomial, square, room)
        symmetric_products(room, polynomial, square)
        polynomial = _polynomial(square, step, following)
        symmetric_products(product, polynomial, room)
        product, room = room, product
    return product


def _square(x: Tensor, out: Tensor | None = None, *, tall: bool) -> Tensor:
    """X Xᵀ, or Xᵀ X of tall matrices: what has the short side twice."""
    left, right = (x.mT, x) if tall else (x, x.mT)
    if out is None:
        out = x.new_empty(len(x), left.shape[1], left.shape[1])
    return symmetric_products(left, right, out)


def _first(square: Tensor, margin: float) -> tuple[Tensor, Tensor]:
    """The first polynomial, and what X must be multiplied with besides; `square` is brought to a norm of at most 1.

    The largest singular value σ is bounded by the eighth root of the sum of all σ⁸, which the first step has the
    matrices for. It is 1 to 5 % above σ for gradients, where the root of the sum of squares is 1.6 to 2.7 times σ.
    """
    a, b, c = STEPS[0]
    squared_norm = _column(square.diagonal(dim1=1, dim2=2).sum(1)).clamp(min=LEAST_SQUARED_NORM)
    fourth = symmetric_products(square.div_(squared_norm), square, torch.empty_like(square))
    bound = _column(torch.linalg.vector_norm(fourth.flatten(1), dim=1)).sqrt().clamp(min=LEAST_BOUND) * margin
    square.div_(bound)
    polynomial = fourth.mul_(c / bound.square()).add_(square, alpha=b)
    polynomial.diagonal(dim1=1, dim2=2).add_(a)
    return polynomial, (bound * squared_norm).rsqrt()


def _polynomial(square: Tensor, step: Polynomial, out: Tensor) -> Tensor:
    """The polynomial a + b G + c G² of the square G, into `out`."""
    a, b, c = step
    return symmetric_products(square, square, out, add=square, numbers=(c, b, a))


def _column(numbers: Float[Tensor, " N"]) -> Float[Tensor, "N 1 1"]:
    return numbers[:, None, None]
