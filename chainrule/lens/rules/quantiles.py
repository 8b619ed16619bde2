"""How a draw moves with the parameters of its distribution, when its place in the distribution stays.

With u = F(x; α) held, dx/dα = −(∂F/∂α)/p(x) (implicit reparametrisation: Figurnov, Mohamed and Mnih, 2018). ∂F/∂α has
no formula of elementary functions. It comes from F itself, by differences extrapolated to step zero: of the logarithm
of the smaller tail, so that nothing cancels, to 13 digits (8 where torch's incomplete gamma function has no more, which
is from α = 20 on).
"""

import math
from collections.abc import Callable

import torch
from torch import Tensor

LEVELS = 7
# Steps of Newton's method, of which each doubles the digits: four to six usually.
NEWTON, CONVERGED = 40, 1e-9
# Nodes of the tanh-sinh rule: to where the weight of s^a is below rounding for a = 0.05, and close enough for a = 1000.
REACH, STEP = 6.5, 1 / 24

Tail = Callable[[Tensor], Tensor]


def gamma_tail(alpha: Tensor, x: Tensor, lower: Tensor) -> Tensor:
    """The logarithm of F(x) of Gamma(α, 1) where `lower`, else of 1 − F(x)."""
    return torch.where(lower, torch.special.gammainc(alpha, x), torch.special.gammaincc(alpha, x)).log()


def gamma_log_density(alpha: Tensor, x: Tensor) -> Tensor:
    """The logarithm of p(x) of Gamma(α, 1)."""
    return torch.xlogy(alpha - 1, x) - x - torch.lgamma(alpha)


def gamma_slope(alpha: Tensor, x: Tensor) -> Tensor:
    """dx/dα of a draw from Gamma(α, 1)."""
    lower = torch.special.gammainc(alpha, x) < 0.5
    step = 0.2 * torch.where(alpha > 1, alpha.sqrt(), alpha)
    tail = gamma_tail(alpha, x, lower)
    found = _extrapolated(lambda a: gamma_tail(a, x, lower), alpha, step) * (tail - gamma_log_density(alpha, x)).exp()
    return torch.where(lower, -found, found)


def gamma_moved(alpha: Tensor, x: Tensor, other: Tensor) -> Tensor:
    """The draw from Gamma(`other`, 1) at the place that x has in Gamma(α, 1)."""
    lower = torch.special.gammainc(alpha, x) < 0.5
    wanted, y = gamma_tail(alpha, x, lower), x.log()
    for _ in range(NEWTON):
        tail = gamma_tail(other, y.exp(), lower)
        slope = (gamma_log_density(other, y.exp()) + y - tail).exp()
        step = _bounded((tail - wanted) / torch.where(lower, slope, -slope))
        y = y - step
        if bool(step.abs().max() < CONVERGED):
            break
    return y.exp()


def beta_tail(a: Tensor, b: Tensor, x: Tensor, rest: Tensor, lower: Tensor) -> Tensor:
    """The logarithm of F(x) of Beta(a, b) where `lower`, else of 1 − F(x); `rest` is 1 − x, with all its digits."""
    a, b = torch.where(lower, a, b), torch.where(lower, b, a)
    end = torch.where(lower, x, rest).unsqueeze(-1)
    u = torch.arange(-REACH, REACH + STEP / 2, STEP, dtype=torch.float64)
    turned = math.pi * u.sinh()
    log_s, log_rest = -torch.nn.functional.softplus(-turned), -torch.nn.functional.softplus(turned)
    log_weight = log_s + log_rest + math.log(math.pi * STEP) + u.cosh().log()
    inside = (a.unsqueeze(-1) - 1) * (end.log() + log_s) + (b.unsqueeze(-1) - 1) * torch.log1p(-end * log_s.exp())
    return torch.logsumexp(inside + log_weight, -1) + end.squeeze(-1).log() + _log_beta_of(a, b)


def _log_beta_of(a: Tensor, b: Tensor) -> Tensor:
    """−ln B(a, b)."""
    return torch.lgamma(a + b) - torch.lgamma(a) - torch.lgamma(b)


def beta_log_density(a: Tensor, b: Tensor, x: Tensor, rest: Tensor) -> Tensor:
    """The logarithm of p(x) of Beta(a, b)."""
    return torch.xlogy(a - 1, x) + torch.xlogy(b - 1, rest) + _log_beta_of(a, b)


def beta_slope(a: Tensor, b: Tensor, x: Tensor, rest: Tensor) -> Tensor:
    """dx/da of a draw from Beta(a, b)."""
    lower = x < a / (a + b)
    step = 0.2 * torch.where(a > 1, a.sqrt(), a)
    tail = beta_tail(a, b, x, rest, lower)
    moved = _extrapolated(lambda other: beta_tail(other, b, x, rest, lower), a, step)
    found = moved * (tail - beta_log_density(a, b, x, rest)).exp()
    return torch.where(lower, -found, found)


def beta_moved(a: Tensor, b: Tensor, x: Tensor, rest: Tensor, other: Tensor) -> tuple[Tensor, Tensor]:
    """The draw from Beta(`other`, b) at the place that x has in Beta(a, b), and what it leaves of 1."""
    lower = x < a / (a + b)
    wanted, y = beta_tail(a, b, x, rest, lower), x.log() - rest.log()
    for _ in range(NEWTON):
        here, left = torch.sigmoid(y), torch.sigmoid(-y)
        tail = beta_tail(other, b, here, left, lower)
        slope = (beta_log_density(other, b, here, left) + here.log() + left.log() - tail).exp()
        step = _bounded((tail - wanted) / torch.where(lower, slope, -slope))
        y = y - step
        if bool(step.abs().max() < CONVERGED):
            break
    return torch.sigmoid(y), torch.sigmoid(-y)


def dirichlet_slope(alpha: Tensor, x: Tensor) -> Tensor:
    """How far xⱼ goes with αⱼ, over 1 − xⱼ: the others make room in proportion."""
    rest = _rest(x)
    return beta_slope(alpha, alpha.sum(-1, keepdim=True) - alpha, x, rest) / rest


def dirichlet_moved(alpha: Tensor, x: Tensor, other: Tensor) -> Tensor:
    """The draw from Dirichlet(`other`) that one from Dirichlet(α) becomes, when one α after the other moves."""
    for j in range(x.shape[-1]):
        others = alpha.sum(-1) - alpha[..., j]
        rest = _rest(x)[..., j]
        here, left = beta_moved(alpha[..., j], others, x[..., j], rest, other[..., j])
        x = x * (left / rest).unsqueeze(-1)
        x = torch.cat([x[..., :j], here.unsqueeze(-1), x[..., j + 1 :]], -1)
    return x


def _rest(x: Tensor) -> Tensor:
    """What each leaves of 1, as the sum of the others."""
    others = [torch.cat([x[..., :j], x[..., j + 1 :]], -1).sum(-1) for j in range(x.shape[-1])]
    return torch.stack(others, -1)


def _bounded(step: Tensor) -> Tensor:
    return step.clamp(-1.0, 1.0)


def _extrapolated(tail: Tail, at: Tensor, step: Tensor) -> Tensor:
    """The derivative of each element: central differences at ever smaller steps, taken to step zero (Ridders, 1982).

    Of the tableau each element has the entry that differs least from the two that it was made of.
    """
    found, error = torch.zeros_like(at), torch.full_like(at, math.inf)
    row: list[Tensor] = []
    for level in range(LEVELS):
        above, below = at + step, at - step
        previous, row = row, [(tail(above) - tail(below)) / (above - below)]
        for column in range(level):
            power = 4.0 ** (column + 1)
            entry = (row[column] * power - previous[column]) / (power - 1)
            differs = torch.maximum((entry - row[column]).abs(), (entry - previous[column]).abs())
            found, error = torch.where(differs < error, entry, found), torch.minimum(error, differs)
            row.append(entry)
        step = step / 2
    return found
