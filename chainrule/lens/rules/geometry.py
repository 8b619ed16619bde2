"""Rules of vectors in space: cross product and distances between points."""

import math

import torch
from torch import Tensor

from chainrule.lens.rules.notation import onward, slope, wanted
from chainrule.lens.rules.rule import Call, Formula, Gradients, Rule


def cross(call: Call, g: Tensor) -> Gradients:
    """The cross product of three numbers each."""
    a, b, dim = call["self"], call["other"], call["dim"]
    return wanted(
        call, {"self": lambda: torch.linalg.cross(b, g, dim=dim), "other": lambda: torch.linalg.cross(g, a, dim=dim)}
    )


def distance(call: Call, g: Tensor) -> Gradients:
    """The p-norm of every difference, p = 2 where none is given. Between equal points the gradient is 0."""
    a, b, y, p = call["x1"], call["x2"], call.out.unsqueeze(-1), float(call.get("p", 2))
    difference = a.unsqueeze(-2) - b.unsqueeze(-3)
    if p == 0:
        unit = torch.zeros_like(difference)
    elif p == 1:
        unit = difference.sign()
    elif math.isinf(p):
        unit = difference.sign() * (difference.abs() == y).to(y.dtype)
    else:
        ratio = torch.where(y == 0, torch.zeros_like(difference), difference.abs() / y)
        unit = difference.sign() * torch.where(difference == 0, 0.0, torch.pow(ratio, p - 1))
    local = g.unsqueeze(-1) * unit
    return wanted(call, {"x1": lambda: local.sum(-2), "x2": lambda: -local.sum(-3)})


DISTANCE = Rule(
    distance,
    Formula("yᵢⱼ = ‖aᵢ − bⱼ‖ₚ", r"y_{ij} = \lVert a_i - b_j \rVert_p"),
    {
        "x1": slope(
            "aᵢ", "sign(aᵢ − bⱼ) (|aᵢ − bⱼ|/yᵢⱼ)ᵖ⁻¹",
            r"\operatorname{sign}(a_i - b_j) \left(\frac{|a_i - b_j|}{y_{ij}}\right)^{p-1}", "a_i",
        ),
        "x2": slope(
            "bⱼ", "−sign(aᵢ − bⱼ) (|aᵢ − bⱼ|/yᵢⱼ)ᵖ⁻¹",
            r"-\operatorname{sign}(a_i - b_j) \left(\frac{|a_i - b_j|}{y_{ij}}\right)^{p-1}", "b_j",
        ),
    },
    {"x1": "a", "x2": "b", "p": "p"},
)  # fmt: skip

GEOMETRY: dict[str, Rule] = {
    "linalg_cross": Rule(
        cross,
        Formula("y = a × b", r"y = a \times b"),
        {"self": onward("a", "b × g", r"b \times g"), "other": onward("b", "g × a", r"g \times a")},
        {"self": "a", "other": "b"},
    ),
    "_cdist_forward": DISTANCE,
    "_euclidean_dist": DISTANCE,
}
