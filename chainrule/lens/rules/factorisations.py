"""Rules of factorisations: Cholesky, QR, LU, singular values, eigenvalues.

Each is found by moving A = (product of factors) a little and asking what the factors may do: a triangle stays one, an
orthogonal matrix stays one (M. Giles, "Collected matrix derivative results", 2008; of complex numbers as torch has it).
Where two singular values or eigenvalues are equal, their vectors turn without limit, and the gradient is infinite.
ᴴ is transposition, for complex numbers with conjugation. Cholesky and eigh read one triangle of A, and hand on to both:
A is meant to be symmetric.
"""

import torch
from torch import Tensor

from chainrule.lens.rules.linear_systems import triangle
from chainrule.lens.rules.notation import onward
from chainrule.lens.rules.rule import Call, Formula, Gradients, Rule


def cholesky(call: Call, g: Tensor, _: Tensor | None = None) -> Gradients:
    """A = L Lᴴ (or UᴴU): L⁻¹ dL is a lower triangle with half of the diagonal of L⁻¹ dA L⁻ᴴ."""
    y, upper = call.out, call["upper"]
    lower, g = (y.mH, g.mH) if upper else (y, g)
    product = (lower.mH @ g).tril()
    once = torch.linalg.solve_triangular(lower.mH, (product + product.tril(-1).mH) / 2, upper=True)
    return {"self": torch.linalg.solve_triangular(lower, once, upper=False, left=False)}


def qr(call: Call, g_q: Tensor | None, g_r: Tensor | None) -> Gradients:
    """A = Q R: QᴴdQ is skew, dR an upper triangle. Columns beyond the square follow from the Q before."""
    a, q, r = call["A"], call.output(0), call.output(1)
    m, n = a.shape[-2:]
    g_q = torch.zeros_like(q) if g_q is None else g_q
    g_r = torch.zeros_like(r) if g_r is None else g_r
    if m >= n:
        return {"A": _square_qr(q, r, g_q, g_r)}
    rest = g_r[..., m:]
    first = _square_qr(q, r[..., :m], g_q + a[..., m:] @ rest.mH, g_r[..., :m])
    return {"A": torch.cat([first, q @ rest], -1)}


def _square_qr(q: Tensor, r: Tensor, g_q: Tensor, g_r: Tensor) -> Tensor:
    product = r @ g_r.mH - g_q.mH @ q
    # A lower triangle that stands for a Hermitian matrix: its mirror image, and the diagonal once.
    lower = product.tril(-1)
    diagonal = product.diagonal(dim1=-2, dim2=-1)
    whole = lower + lower.mH + (diagonal.real.to(diagonal.dtype) if diagonal.is_complex() else diagonal).diag_embed()
    return torch.linalg.solve_triangular(r.mH, g_q + q @ whole, upper=False, left=False)


def svd(call: Call, g_u: Tensor | None, g_s: Tensor | None, g_vh: Tensor | None) -> Gradients:
    """A = U S Vᴴ: UᴴdU and VᴴdV are skew, dS is a diagonal."""
    k = call.output(1).shape[-1]
    u, s, vh = call.output(0)[..., :k], call.output(1), call.output(2)[..., :k, :]
    inner = (torch.zeros_like(s) if g_s is None else g_s).to(u.dtype).diag_embed()
    outside = 0
    gap = _gaps(s * s)
    columns, rows = s.unsqueeze(-2), s.unsqueeze(-1)
    if g_u is not None:
        g_u = g_u[..., :k]
        turned = u.mH @ g_u
        inner = inner + (turned - turned.mH) / gap * columns
        if u.is_complex():
            inner = inner + (1j * turned.diagonal(dim1=-2, dim2=-1).imag / s).diag_embed()
        outside = outside + ((g_u - u @ turned) / columns) @ vh
    if g_vh is not None:
        g_v = g_vh[..., :k, :].mH
        turned = vh @ g_v
        inner = inner + rows * (turned - turned.mH) / gap
        outside = outside + u @ ((g_v - vh.mH @ turned) / columns).mH
    return {"A": u @ inner @ vh + outside}


def _gaps(x: Tensor) -> Tensor:
    """xⱼ − xᵢ for i ≠ j, and on the diagonal 1: it is divided by."""
    n = x.shape[-1]
    return (x.unsqueeze(-2) - x.unsqueeze(-1)).masked_fill(torch.eye(n, dtype=torch.bool, device=x.device), 1)


def symmetric_eigen(call: Call, g_values: Tensor | None, g_vectors: Tensor | None) -> Gradients:
    """A = V Λ Vᴴ: VᴴdV is skew, dΛ a diagonal."""
    values, vectors = call.output(0), call.output(1)
    inner = torch.zeros_like(vectors) if g_values is None else g_values.to(vectors.dtype).diag_embed()
    if g_vectors is not None:
        turned = vectors.mH @ g_vectors
        inner = inner + (turned - turned.mH) / 2 / _gaps(values)
    return {"A": vectors @ inner @ vectors.mH}


def eigen(call: Call, g_values: Tensor | None, g_vectors: Tensor | None) -> Gradients:
    """A V = V Λ, each vector of length 1."""
    values, v = call.output(0), call.output(1)
    inner = torch.zeros_like(v) if g_values is None else g_values.diag_embed()
    if g_vectors is not None:
        turned = v.mH @ g_vectors
        lengths = turned.diagonal(dim1=-2, dim2=-1).real.to(v.dtype)
        off = (turned - (v.mH @ v) * lengths.unsqueeze(-2)) / _gaps(values).conj()
        inner = inner + off - off.diagonal(dim1=-2, dim2=-1).diag_embed()
    return {"self": torch.linalg.solve(v.mH, inner @ v.mH)}


def lu(call: Call, *gradients: Tensor | None) -> Gradients:
    """A = P L U with ones on L's diagonal: L⁻¹dL is a strict lower triangle, dU U⁻¹ an upper one."""
    p, lower, upper = (call.output(slot) for slot in range(3))
    g_lower, g_upper = (
        torch.zeros_like(y) if g is None else g for y, g in zip((lower, upper), gradients[1:], strict=True)
    )
    found = _lu(lower, upper, g_lower, g_upper)
    return {"A": p @ found if call["pivot"] else found}


def lu_packed(call: Call, g: Tensor, *_: Tensor | None) -> Gradients:
    """The same, with L and U in one matrix."""
    p, lower, upper = torch.lu_unpack(call.output(0), call.output(1))
    k = min(g.shape[-2:])
    found = _lu(lower, upper, g.tril(-1)[..., :k], g.triu()[..., :k, :])
    return {"A": p @ found if call["pivot"] else found}


def _lu(lower: Tensor, upper: Tensor, g_lower: Tensor, g_upper: Tensor) -> Tensor:
    """For a matrix that is higher or wider than a square, the rest follows from the square's factors."""
    k = upper.shape[-2]
    l_square, u_square = lower[..., :k, :], upper[..., :k]
    l_rest, u_rest = g_lower[..., k:, :], g_upper[..., k:]
    down = torch.linalg.solve_triangular(u_square.mH, l_rest, upper=False, left=False)
    across = torch.linalg.solve_triangular(l_square.mH, u_rest, upper=True, unitriangular=True)
    g_l = g_lower[..., :k, :] - across @ upper[..., k:].mH
    g_u = g_upper[..., :k] - lower[..., k:, :].mH @ down
    inner = (l_square.mH @ g_l).tril(-1) + (g_u @ u_square.mH).triu()
    once = torch.linalg.solve_triangular(l_square.mH, inner, upper=True, unitriangular=True)
    square = torch.linalg.solve_triangular(u_square.mH, once, upper=False, left=False)
    return torch.cat(
        [
            torch.cat([square, across], -1),
            torch.cat(
                [down, down.new_zeros(down.shape[-2], across.shape[-1]).expand(*down.shape[:-1], across.shape[-1])], -1
            ),
        ],
        -2,
    )


def unpacked(call: Call, _p: Tensor | None, g_lower: Tensor | None, g_upper: Tensor | None) -> Gradients:
    """L and U are triangles of the packed matrix."""
    packed = call["LU_data"]
    whole = torch.zeros_like(packed)
    if g_lower is not None:
        whole[..., : g_lower.shape[-1]] += triangle(g_lower, upper=False, diagonal=False)
    if g_upper is not None:
        whole[..., : g_upper.shape[-2], :] += triangle(g_upper, upper=True)
    return {"LU_data": whole}


A = {"self": "A"}
A_BIG = {"A": "A"}
CHOLESKY = Rule(
    cholesky,
    Formula("A = Y Yᴴ, Y lower triangle", r"A = Y Y^H, \quad Y \text{ lower triangle}"),
    {
        "self": onward(
            "A", "sym(Y⁻ᴴ Φ(YᴴG) Y⁻¹), Φ: lower, half the diagonal", r"\operatorname{sym}(Y^{-H} \Phi(Y^H G) Y^{-1})"
        )
    },
    A,
    wirtinger=True,
)
LU_TEXT = onward(
    "A",
    "P L⁻ᴴ (low(LᴴG_L) + up(G_U Uᴴ)) U⁻ᴴ",
    r"P L^{-H} (\operatorname{low}(L^H G_L) + \operatorname{up}(G_U U^H)) U^{-H}",
)
LU = Formula("A = P L U", "A = P L U")

FACTORISATIONS: dict[str, Rule] = {
    **dict.fromkeys(("linalg_cholesky_ex", "cholesky"), CHOLESKY),
    "linalg_qr": Rule(
        qr,
        Formula("A = Q R", "A = Q R"),
        {
            "A": onward(
                "A",
                "(G_Q + Q herm(low(R G_Rᴴ − G_QᴴQ))) R⁻ᴴ",
                r"(G_Q + Q \operatorname{herm}(\operatorname{low}(R G_R^H - G_Q^H Q))) R^{-H}",
            )
        },
        A_BIG,
        wirtinger=True,
    ),
    "_linalg_svd": Rule(
        svd,
        Formula("A = U S Vᴴ", "A = U S V^H"),
        {
            "A": onward(
                "A",
                "U (skew(UᴴG_U)/E S + S skew(VᴴG_V)/E + G_S) Vᴴ + …, Eᵢⱼ = sⱼ² − sᵢ²",
                r"U \left(\frac{\operatorname{skew}(U^H G_U)}{E} S + S \frac{\operatorname{skew}(V^H G_V)}{E}"
                r" + G_S\right) V^H + \ldots, \quad E_{ij} = s_j^2 - s_i^2",
            )
        },
        A_BIG,
        wirtinger=True,
    ),
    "_linalg_eigh": Rule(
        symmetric_eigen,
        Formula("A = V Λ Vᴴ", r"A = V \Lambda V^H"),
        {
            "A": onward(
                "A",
                "V (G_Λ + VᴴG_V/E) Vᴴ, Eᵢⱼ = λⱼ − λᵢ",
                r"V \left(G_\Lambda + \frac{V^H G_V}{E}\right) V^H, \quad E_{ij} = \lambda_j - \lambda_i",
            )
        },
        A_BIG,
        wirtinger=True,
    ),
    "linalg_eig": Rule(
        eigen,
        Formula("A V = V Λ", r"A V = V \Lambda"),
        {
            "self": onward(
                "A",
                "V⁻ᴴ (G_Λ + (VᴴG_V − VᴴV re diag(VᴴG_V))/Ē) Vᴴ",
                r"V^{-H} \left(G_\Lambda + \frac{V^H G_V - V^H V \operatorname{re} \operatorname{diag}(V^H G_V)}"
                r"{\bar E}\right) V^H",
            )
        },
        A,
        wirtinger=True,
    ),
    "linalg_lu": Rule(lu, LU, {"A": LU_TEXT}, A_BIG, wirtinger=True),
    "linalg_lu_factor_ex": Rule(lu_packed, LU, {"A": LU_TEXT}, A_BIG, wirtinger=True),
    "lu_unpack": Rule(
        unpacked,
        Formula("L, U = triangles of A", r"L, U = \operatorname{low}(A), \operatorname{up}(A)"),
        {"LU_data": onward("A", "low(G_L) + up(G_U)", r"\operatorname{low}(G_L) + \operatorname{up}(G_U)")},
        {"LU_data": "A"},
        wirtinger=True,
    ),
}
