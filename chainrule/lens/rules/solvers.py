"""Rules of solvers that are made of triangular systems, products and reflections."""

import torch
from torch import Tensor

from chainrule.lens.rules.composed import composed
from chainrule.lens.rules.linear_systems import triangle
from chainrule.lens.rules.notation import onward
from chainrule.lens.rules.rule import Call, Formula, Gradients, Rule, unbroadcast
from chainrule.lens.tape import Ref


def cholesky_solve(call: Call, g: Tensor) -> Gradients:
    """X = (L Lᴴ)⁻¹B: from A = L Lᴴ follows dA = dL Lᴴ + L dLᴴ, and L's other triangle is not read.

    Where that triangle is 0 and somebody made it so, what is handed to it is taken away again: it is as torch has it.
    """
    factor, x, upper = call["input2"], call.out, call["upper"]
    by_b = torch.cholesky_solve(g, factor, upper=upper)
    whole = -(by_b @ x.mH)
    return {
        "self": unbroadcast(by_b, call["self"].shape),
        "input2": _by_factor(call, "input2", whole + whole.mH, upper=upper),
    }


def cholesky_inverse(call: Call, g: Tensor) -> Gradients:
    """Y = (L Lᴴ)⁻¹, likewise."""
    y = call.out
    return {"self": _by_factor(call, "self", -(y @ (g + g.mH) @ y), upper=call["upper"])}


def _by_factor(call: Call, name: str, by_matrix: Tensor, *, upper: bool) -> Tensor:
    factor, ref = call[name], call.node.arguments[name]
    found = factor @ by_matrix if upper else by_matrix @ factor
    rest = factor.tril(-1) if upper else factor.triu(1)
    made = isinstance(ref, Ref) and not call.tape.values[ref.value].is_leaf and not bool(rest.any())
    return unbroadcast(found if made else triangle(found, upper=upper), factor.shape)


def triangular_solve(
    *, self: Tensor, A: Tensor, upper: bool, transpose: bool, unitriangular: bool
) -> tuple[Tensor, Tensor]:
    """X = A⁻¹B, and A once more."""
    matrix, up = (A.mT, not upper) if transpose else (A, upper)
    return torch.linalg.solve_triangular(matrix, self, upper=up, unitriangular=unitriangular), A.clone()


def lu_solve(*, LU: Tensor, pivots: Tensor, B: Tensor, left: bool, adjoint: bool) -> Tensor:
    """X = (P L U)⁻¹B: a permutation and two triangular systems."""
    p, lower, upper = torch.lu_unpack(LU, pivots)
    if not left:
        return lu_solve(LU=LU, pivots=pivots, B=B.mH, left=True, adjoint=not adjoint).mH
    if adjoint:
        once = torch.linalg.solve_triangular(upper.mH, B, upper=False)
        return p @ torch.linalg.solve_triangular(lower.mH, once, upper=True, unitriangular=True)
    once = torch.linalg.solve_triangular(lower, p.mT @ B, upper=False, unitriangular=True)
    return torch.linalg.solve_triangular(upper, once, upper=True)


def reflections(*, input: Tensor, tau: Tensor) -> Tensor:  # noqa: A002
    """Q = H₁H₂…, Hᵢ = 1 − τᵢvᵢvᵢᴴ, with vᵢ below the diagonal of A's column i, and 1 on it."""
    return _reflected(torch.eye(*input.shape[-2:], dtype=input.dtype, device=input.device), input, tau)


def _reflected(x: Tensor, vectors: Tensor, tau: Tensor) -> Tensor:
    """H₁H₂…X."""
    v = vectors.tril(-1) + torch.eye(*vectors.shape[-2:], dtype=vectors.dtype, device=vectors.device)
    for i in reversed(range(tau.shape[-1])):
        column = v[..., i : i + 1]
        x = x - tau[..., i, None, None] * (column @ (column.mH @ x))
    return x


def multiplied_by_reflections(*, self: Tensor, input2: Tensor, input3: Tensor, left: bool, transpose: bool) -> Tensor:
    """Y = Q C, Qᴴ C, C Q or C Qᴴ, with all of Q's columns."""
    n = self.shape[-2]
    q = _reflected(torch.eye(n, dtype=self.dtype, device=self.device).expand(*self.shape[:-2], n, n), self, input2)
    q = q.mH if transpose else q
    return q @ input3 if left else input3 @ q


PARTS = ("by the parts", r"\text{by the parts}")

SOLVERS: dict[str, Rule] = {
    "cholesky_solve": Rule(
        cholesky_solve,
        Formula("X = L⁻ᴴ(L⁻¹B)", "X = L^{-H} (L^{-1} B)"),
        {
            "self": onward("B", "L⁻ᴴ(L⁻¹G)", "L^{-H} (L^{-1} G)"),
            "input2": onward(
                "L",
                "low((G_A + G_Aᴴ) L), G_A = −(A⁻¹G)Xᴴ",
                r"\operatorname{low}((G_A + G_A^H) L), \quad G_A = -(A^{-1} G) X^H",
            ),
        },
        {"self": "B", "input2": "L"},
        wirtinger=True,
    ),
    "cholesky_inverse": Rule(
        cholesky_inverse,
        Formula("Y = L⁻ᴴL⁻¹", "Y = L^{-H} L^{-1}"),
        {"self": onward("L", "−low(Y (G + Gᴴ) Y L)", r"-\operatorname{low}(Y (G + G^H) Y L)")},
        {"self": "L"},
        wirtinger=True,
    ),
    "triangular_solve": Rule(
        composed(triangular_solve),
        Formula("X = A⁻¹B", "X = A^{-1} B"),
        {"self": onward("B", "A⁻ᵀ G", r"A^{-\top} G"), "A": onward("A", "−(A⁻ᵀ G) Xᵀ", r"-(A^{-\top} G) X^\top")},
        {"self": "B", "A": "A"},
        wirtinger=True,
    ),
    "linalg_lu_solve": Rule(
        composed(lu_solve),
        Formula("X = U⁻¹(L⁻¹(PᵀB))", r"X = U^{-1} (L^{-1} (P^\top B))"),
        {"LU": onward("A", *PARTS), "B": onward("B", "P L⁻ᴴ(U⁻ᴴ G)", "P L^{-H} (U^{-H} G)")},
        {"LU": "A", "B": "B"},
        wirtinger=True,
    ),
    "linalg_householder_product": Rule(
        composed(reflections),
        Formula("Q = Πᵢ (1 − τᵢvᵢvᵢᴴ)", r"Q = \prod_i (1 - \tau_i v_i v_i^H)"),
        {"input": onward("A", *PARTS), "tau": onward("τ", *PARTS, r"\tau")},
        {"input": "A", "tau": "τ"},
        wirtinger=True,
    ),
    "ormqr": Rule(
        composed(multiplied_by_reflections),
        Formula("Y = Q C, Q = Πᵢ (1 − τᵢvᵢvᵢᴴ)", r"Y = Q C, \quad Q = \prod_i (1 - \tau_i v_i v_i^H)"),
        {
            "self": onward("A", *PARTS),
            "input2": onward("τ", *PARTS, r"\tau"),
            "input3": onward("C", "Qᴴ G", "Q^H G"),
        },
        {"self": "A", "input2": "τ", "input3": "C"},
        wirtinger=True,
    ),
}
