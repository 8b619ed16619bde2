"""Random draws from gamma and Dirichlet distributions: how they move with their parameters.

The samplers reject, and have no derivative themselves. What is meant is the derivative at a fixed place in the
distribution (`quantiles.py`). Torch approximates it, in torch 2.13 to 1e-5 or so, at worst to 1e-3; how far off it is
at a draw is measured here, and is what a comparison there can prove.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from chainrule.lens.rules.notation import onward, slope
from chainrule.lens.rules.quantiles import dirichlet_moved, dirichlet_slope, gamma_moved, gamma_slope
from chainrule.lens.rules.rule import Call, Formula, Gradients, Rule


def standard_gamma(call: Call, g: Tensor) -> Gradients:
    """F is the distribution function and p the density; x stays at its place in the distribution.

    Torch approximates this derivative, to 1e-5 or so.
    """
    return {"self": g * gamma_slope(call["self"].double(), call.out.double()).to(g.dtype)}


def sample_dirichlet(call: Call, g: Tensor) -> Gradients:
    """Each xⱼ stays at its place in its own distribution, Beta(αⱼ, Σα − αⱼ), with F and p; others keep their ratios.

    Torch approximates this derivative, at worst to 1e-3.
    """
    x = call.out.double()
    inner = g.double() - (x * g.double()).sum(-1, keepdim=True)
    return {"self": (dirichlet_slope(call["self"].double(), x) * inner).to(g.dtype)}


def _gamma_off(alpha: Tensor, x: Tensor) -> Tensor:
    return torch._standard_gamma_grad(alpha, x) / gamma_slope(alpha, x) - 1


def _dirichlet_off(alpha: Tensor, x: Tensor) -> Tensor:
    total = alpha.sum(-1, keepdim=True).expand_as(alpha)
    return torch._dirichlet_grad(x, alpha, total) / dirichlet_slope(alpha, x) - 1


# How far torch's own derivative is off at each draw, of itself.
APPROXIMATED: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "_standard_gamma": _gamma_off,
    "_sample_dirichlet": _dirichlet_off,
}
# A draw with parameters α as one with other parameters, at the same place: of (α, x, other).
MOVED: dict[str, Callable[[Tensor, Tensor, Tensor], Tensor]] = {
    "_standard_gamma": gamma_moved,
    "_sample_dirichlet": dirichlet_moved,
}

DRAWN: dict[str, Rule] = {
    "_standard_gamma": Rule(
        standard_gamma,
        Formula("x ~ Gamma(α, 1)", r"x \sim \operatorname{Gamma}(\alpha, 1)"),
        {"self": slope("α", "−(∂F/∂α)/p(x)", r"-\frac{\partial F / \partial \alpha}{p(x)}", r"\alpha")},
        {"self": "α"},
    ),
    "_sample_dirichlet": Rule(
        sample_dirichlet,
        Formula("x ~ Dirichlet(α)", r"x \sim \operatorname{Dirichlet}(\alpha)"),
        {
            "self": onward(
                "αⱼ",
                "−(∂F/∂αⱼ)/p(xⱼ)·(gⱼ − Σxᵢgᵢ)/(1 − xⱼ)",
                r"-\frac{\partial F / \partial \alpha_j}{p(x_j)} \frac{g_j - \sum_i x_i g_i}{1 - x_j}",
                r"\alpha_j",
            )
        },
        {"self": "α"},
    ),
}
