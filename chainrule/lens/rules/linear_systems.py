"""Rules of linear systems: solutions, triangular ones, inverses, determinants, the exponential of a matrix.

Each follows from writing down the equation that the result satisfies and moving it a little: from A X = B comes
dA X + A dX = dB. They are written for real matrices; for complex ones the result is conjugated (see `Rule`).
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from chainrule.lens.rules.notation import onward
from chainrule.lens.rules.rule import Call, Formula, Gradients, Rule, unbroadcast


def solve(call: Call, g: Tensor, *_: Tensor | None) -> Gradients:
    """From A X = B: dX = A⁻¹(dB − dA X). With `left` false the equation is X A = B."""
    a, b, x, left = call["A"], call["B"], call.out, call["left"]
    vector = b.dim() == 1 or (b.dim() == a.dim() - 1 and b.shape == a.shape[:-1])
    if vector:
        g, x = g.unsqueeze(-1), x.unsqueeze(-1)
    by_b = torch.linalg.solve(a.mT, g, left=left)
    found = {"A": unbroadcast(-(by_b @ x.mT) if left else -(x.mT @ by_b), a.shape)}
    return found | {"B": unbroadcast(by_b.squeeze(-1) if vector else by_b, b.shape)}


def solve_triangular(call: Call, g: Tensor) -> Gradients:
    """The same for a triangular A: what lies beyond the triangle (or on a diagonal of ones) is not read."""
    a, b, x, left, upper, ones = (
        *(call["self"], call["B"], call.out, call["left"]),
        *(call["upper"], call["unitriangular"]),
    )
    by_b = torch.linalg.solve_triangular(a.mT, g, upper=not upper, left=left, unitriangular=ones)
    found = {}
    if call.needs("self"):
        whole = -(by_b @ x.mT) if left else -(x.mT @ by_b)
        found["self"] = unbroadcast(triangle(whole, upper=upper, diagonal=not ones), a.shape)
    return found | {"B": unbroadcast(by_b, b.shape)}


def triangle(x: Tensor, *, upper: bool, diagonal: bool = True) -> Tensor:
    """The upper or lower triangle, with or without its diagonal."""
    return x.triu(0 if diagonal else 1) if upper else x.tril(0 if diagonal else -1)


def inverse(call: Call, g: Tensor | None, _: Tensor | None = None) -> Gradients:
    """From A A⁻¹ = 1 follows dY = −Y dA Y."""
    y = call.output(0).mT
    return {} if g is None else {"A": -(y @ g @ y)}


def pseudoinverse(call: Call, g: Tensor) -> Gradients:
    """Golub and Pereyra, 1973, for a rank that does not change (ᴴ: transposed, for complex numbers conjugated)."""
    return {"self": _by_pseudoinverse(call["self"], call.out, g)}


def _by_pseudoinverse(a: Tensor, y: Tensor, g: Tensor) -> Tensor:
    m, n = a.shape[-2:]
    across, down = _identity(m, a) - a @ y, _identity(n, a) - y @ a
    yh, gh = y.mH, g.mH
    return -(yh @ g @ yh) + across @ gh @ (y @ yh) + (yh @ y) @ gh @ down


def least_squares(call: Call, g: Tensor | None, g_rest: Tensor | None = None, *_: Tensor | None) -> Gradients:
    """X = A⁺B. What is left over, ‖A X − B‖², is smallest at X, and so does not move with X."""
    a, b, x = call["self"], call["b"], call.out
    vector = b.dim() == 1 or (b.dim() == a.dim() - 1 and b.shape == a.shape[:-1])
    b, x, g = (one if one is None or not vector else one.unsqueeze(-1) for one in (b, x, g))
    by_a, by_b = torch.zeros_like(a), torch.zeros_like(b)
    if g is not None:
        y = torch.linalg.pinv(a)
        by_a, by_b = _by_pseudoinverse(a, y, g @ b.mH), y.mH @ g
    if g_rest is not None and g_rest.numel():
        rest = 2 * (a @ x - b) * (g_rest.unsqueeze(-1) if vector else g_rest).unsqueeze(-2)
        by_a, by_b = by_a + rest @ x.mH, by_b - rest
    return {"self": unbroadcast(by_a, call["self"].shape), "b": by_b.squeeze(-1) if vector else by_b}


def _identity(n: int, like: Tensor) -> Tensor:
    return torch.eye(n, dtype=like.dtype, device=like.device)


def determinant(call: Call, g: Tensor, *_: Tensor | None) -> Gradients:
    """The matrix of cofactors, det A·A⁻ᵀ; for a singular A made from its singular values."""
    a, y = call["A"], call.out
    scale = g[..., None, None]
    if bool((y != 0).all()):
        return {"A": scale * y[..., None, None] * torch.linalg.inv(a).mT}
    u, s, vh = torch.linalg.svd(a)
    sign = (torch.linalg.det(u) * torch.linalg.det(vh))[..., None, None]
    return {"A": scale * sign * (u.conj() * _products_of_others(s).unsqueeze(-2)) @ vh.conj()}


def _products_of_others(s: Tensor) -> Tensor:
    """Of each row the product of all numbers but one, for each."""
    n = s.shape[-1]
    spread = s.unsqueeze(-2).expand(*s.shape, n).masked_fill(torch.eye(n, dtype=torch.bool, device=s.device), 1)
    return spread.prod(-1)


def log_determinant(call: Call, g_sign: Tensor | None, g_log: Tensor | None, *_: Tensor | None) -> Gradients:
    """D ln det A = tr(A⁻¹ dA). The sign of a real determinant is flat; of a complex one it is an angle."""
    a = call["A"]
    scale = a.new_zeros(a.shape[:-2]) if g_log is None else g_log.to(a.dtype)
    if a.is_complex() and g_sign is not None:
        scale = scale - 1j * (g_sign.conj() * call.output(0)).imag
    return {"A": scale[..., None, None] * torch.linalg.inv(a).mH}


def matrix_exponential(call: Call, g: Tensor) -> Gradients:
    """The gradient is a block of a larger exponential (Mathias, 1996)."""
    a = call["self"].mT
    n = a.shape[-1]
    rows = [torch.cat([a, g], -1), torch.cat([torch.zeros_like(a), a], -1)]
    return {"self": torch.linalg.matrix_exp(torch.cat(rows, -2))[..., :n, n:]}


def _system(what: tuple[str, str], names: Sequence[str]) -> tuple[Formula, dict[str, Formula], dict[str, str]]:
    a, b = names
    return (
        Formula(*what),
        {
            a: onward("A", "−(A⁻ᵀ G) Xᵀ", r"-(A^{-\top} G) X^\top"),
            b: onward("B", "A⁻ᵀ G", r"A^{-\top} G"),
        },
        {a: "A", b: "B"},
    )


SOLUTION = ("X = A⁻¹B", "X = A^{-1} B")

LINEAR_SYSTEMS: dict[str, Rule] = {
    "_linalg_solve_ex": Rule(solve, *_system(SOLUTION, ("A", "B"))),
    "linalg_solve_triangular": Rule(solve_triangular, *_system(SOLUTION, ("self", "B"))),
    "linalg_inv_ex": Rule(
        inverse,
        Formula("Y = A⁻¹", "Y = A^{-1}"),
        {"A": onward("A", "−Yᵀ G Yᵀ", r"-Y^\top G Y^\top")},
        {"A": "A"},
    ),
    "linalg_pinv": Rule(
        pseudoinverse,
        Formula("Y = A⁺", "Y = A^+"),
        {
            "self": onward(
                "A",
                "−Yᴴ G Yᴴ + (1 − A Y) Gᴴ Y Yᴴ + Yᴴ Y Gᴴ (1 − Y A)",
                "-Y^H G Y^H + (1 - A Y) G^H Y Y^H + Y^H Y G^H (1 - Y A)",
            )
        },
        {"self": "A"},
        wirtinger=True,
    ),
    "linalg_lstsq": Rule(
        least_squares,
        Formula("X = A⁺B", "X = A^+ B"),
        {
            "self": onward("A", "that of A⁺ for G Bᴴ", r"\frac{\partial L}{\partial A^+} = G B^H"),
            "b": onward("B", "A⁺ᴴ G", "A^{+H} G"),
        },
        {"self": "A", "b": "B"},
        wirtinger=True,
    ),
    "_linalg_det": Rule(
        determinant,
        Formula("y = det A", r"y = \det A"),
        {"A": onward("A", "g y A⁻ᵀ", r"g y A^{-\top}")},
        {"A": "A"},
    ),
    "_linalg_slogdet": Rule(
        log_determinant,
        Formula("y = ln |det A|", r"y = \ln |\det A|"),
        {"A": onward("A", "g A⁻ᴴ", "g A^{-H}")},
        {"A": "A"},
        wirtinger=True,
    ),
    "linalg_matrix_exp": Rule(
        matrix_exponential,
        Formula("Y = exp A", r"Y = \exp A"),
        {
            "self": onward(
                "A",
                "the block of G in exp(Aᵀ G; 0 Aᵀ)",
                r"\left[\exp\begin{pmatrix} A^\top & G \\ 0 & A^\top \end{pmatrix}\right]_{12}",
            )
        },
        {"self": "A"},
    ),
}
