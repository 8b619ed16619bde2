"""Samples of the rules of linear algebra: well-conditioned matrices, real and complex, square, high and wide."""

from functools import partial

import torch
from lens.rules.numbers import complex_normal, normal
from torch import Tensor

aten, linalg = torch.ops.aten, torch.linalg
A, B, ROW = normal(3, 3) + 3 * torch.eye(3), normal(3, 2, seed=1), normal(3, seed=2)
BATCH = normal(2, 3, 3, seed=3) + 3 * torch.eye(3)
HIGH, WIDE = normal(4, 3, seed=4), normal(3, 4, seed=5)
COMPLEX = complex_normal(3, 3) + 3 * torch.eye(3)
COMPLEX_B = complex_normal(3, 2, seed=1)


def positive(a: Tensor) -> Tensor:
    return a @ a.mH + torch.eye(a.shape[-1], dtype=a.dtype)


def symmetric(a: Tensor) -> Tensor:
    return a + a.mH + torch.diag(torch.arange(a.shape[-1], dtype=torch.float64) * 2).to(a.dtype)


def lengths(*factors: Tensor) -> list[Tensor]:
    """What of factors does not depend on the sign or phase that each vector was given."""
    return [factor.abs() for factor in factors]


def low(a: Tensor) -> Tensor:
    return a.tril()


def lu_solved(a: Tensor, b: Tensor, **how: bool) -> Tensor:
    return linalg.lu_solve(*linalg.lu_factor(a), b, **how)


def both(function, *more):
    """On a real matrix, a batch, and a complex matrix."""
    return [(function, (x, *more)) for x in (A, BATCH, COMPLEX)]


SAMPLES = {
    "_linalg_solve_ex": [
        (linalg.solve, (A, B)),
        (linalg.solve, (A, ROW)),
        (linalg.solve, (BATCH, B)),
        (linalg.solve, (COMPLEX, COMPLEX_B)),
        (partial(linalg.solve, left=False), (A, B.mT)),
    ],
    "linalg_solve_triangular": [
        (partial(linalg.solve_triangular, upper=up, left=left, unitriangular=ones), (A, B if left else B.mT))
        for up in (True, False)
        for left in (True, False)
        for ones in (True, False)
    ]
    + [
        (partial(linalg.solve_triangular, upper=True), (COMPLEX, COMPLEX_B)),
        (partial(linalg.solve_triangular, upper=False), (BATCH, B)),
    ],
    "triangular_solve": [
        (lambda b, a, up=up, t=t: torch.triangular_solve(b, a, upper=up, transpose=t)[0], (B, A))
        for up in (True, False)
        for t in (True, False)
    ],
    "linalg_inv_ex": [*both(torch.linalg.inv), (lambda x: torch.inverse(x), (A,))],
    "linalg_pinv": [
        (linalg.pinv, (x,)) for x in (A, HIGH, WIDE)
    ],  # complex: torch 2.13 computes another one below a mode
    "_linalg_det": [*both(linalg.det), (linalg.det, (A - A[:, :1] @ torch.ones(1, 3, dtype=A.dtype) / 3,))],
    "_linalg_slogdet": [
        *both(lambda x: linalg.slogdet(x)[1]),
        (lambda x: tuple(linalg.slogdet(x)), (COMPLEX,)),
        (torch.logdet, (A,)),
    ],
    "linalg_matrix_exp": both(lambda x: linalg.matrix_exp(x / 3)),
    "linalg_cholesky_ex": [
        *both(lambda x: linalg.cholesky(positive(x))),
        (lambda x: linalg.cholesky(positive(x), upper=True), (A,)),
    ],
    "cholesky": [
        *both(lambda x: torch.cholesky(positive(x))),
        (lambda x: torch.cholesky(positive(x), upper=True), (A,)),
    ],
    "cholesky_solve": [
        (lambda b, x: torch.cholesky_solve(b, low(x)), (B, A)),
        (lambda b, x: torch.cholesky_solve(b, x.triu(), upper=True), (B, A)),
        (lambda b, x: torch.cholesky_solve(b, low(x)), (COMPLEX_B, COMPLEX)),
    ],
    "cholesky_inverse": [
        (lambda x: torch.cholesky_inverse(low(x)), (A,)),
        (lambda x: torch.cholesky_inverse(x.triu(), upper=True), (A,)),
    ],
    "linalg_qr": [(lambda x: linalg.qr(x), (x,)) for x in (A, HIGH, WIDE, BATCH, COMPLEX)]
    + [(lambda x: linalg.qr(x)[1], (HIGH,)), (lambda x: linalg.qr(x)[0], (HIGH,))],
    "_linalg_svd": [(linalg.svdvals, (x,)) for x in (A, HIGH, WIDE, COMPLEX)]
    + [(lambda x: lengths(*linalg.svd(x, full_matrices=False)), (x,)) for x in (A, HIGH, WIDE, BATCH, COMPLEX)]
    + [(lambda x: linalg.matrix_norm(x, "nuc"), (HIGH,)), (lambda x: linalg.cond(x), (A,))],
    "_linalg_eigh": [(lambda x: linalg.eigvalsh(symmetric(x)), (x,)) for x in (A, COMPLEX)]
    + [(lambda x: lengths(*linalg.eigh(symmetric(x))), (x,)) for x in (A, BATCH + torch.diag(normal(3)), COMPLEX)],
    "linalg_eig": [
        (lambda x: lengths(*linalg.eig(x)), (A + torch.diag(torch.tensor([0.0, 2.0, 5.0])),)),
        (lambda x: linalg.eigvals(x), (COMPLEX + torch.diag(torch.tensor([0.0, 2.0, 5.0])),)),
        (lambda x: lengths(*linalg.eig(x)), (COMPLEX,)),
    ],
    "linalg_lu": [(lambda x: linalg.lu(x), (x,)) for x in (A, HIGH, WIDE, BATCH, COMPLEX)],
    "linalg_lu_factor_ex": [(lambda x: linalg.lu_factor(x)[0], (x,)) for x in (A, HIGH, WIDE, COMPLEX)],
    "lu_unpack": [(lambda x: torch.lu_unpack(*linalg.lu_factor(x)), (x,)) for x in (A, HIGH, WIDE)],
    "linalg_lu_solve": [
        (lu_solved, (A, B)),
        (partial(lu_solved, adjoint=True), (A, B)),
        (lu_solved, (COMPLEX, COMPLEX_B)),
        (partial(lu_solved, left=False), (A, B.mT.contiguous())),
    ],
    "linalg_lstsq": [
        (lambda a, b: linalg.lstsq(a, b)[0], (A, B)),
        (lambda a, b: linalg.lstsq(a, b, driver="gelsd")[:2], (HIGH, normal(4, 2))),
    ],
    "linalg_householder_product": [
        (linalg.householder_product, (HIGH, normal(3, seed=6))),
        (linalg.householder_product, (A, normal(2))),
    ],
    "ormqr": [
        (partial(torch.ormqr, left=left, transpose=t), (A, normal(3, seed=6), B if left else B.mT.contiguous()))
        for left in (True, False)
        for t in (True, False)
    ],
}
