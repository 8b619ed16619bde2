"""Rules of losses with margins, of distances between rows, and of rows held to a length: made of simpler operations."""

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from chainrule.lens.rules.composed import composed
from chainrule.lens.rules.notation import onward
from chainrule.lens.rules.rule import Formula, Rule

MEAN, SUM = 1, 2


def _reduced(losses: Tensor, reduction: int) -> Tensor:
    return losses.mean() if reduction == MEAN else losses.sum() if reduction == SUM else losses


def multi_margin(
    *, self: Tensor, target: Tensor, p: float, margin: float, weight: Tensor | None, reduction: int
) -> Tensor:
    """Every class should lie the margin m below the target's. On the margin itself the gradient is 0."""
    x, t = (self.unsqueeze(0), target.reshape(1)) if self.dim() < 2 else (self, target)
    right = x.gather(1, t[:, None])
    short = F.relu(margin - right + x)
    short = short if p == 1 else short * short
    if weight is not None:
        short = short * weight[t][:, None]
    others = torch.ones_like(x).scatter(1, t[:, None], 0.0)
    losses = (short * others).sum(1) / x.shape[1]
    return _reduced(losses if self.dim() > 1 else losses.squeeze(0), reduction)


def multilabel_margin(*, self: Tensor, target: Tensor, reduction: int) -> Tensor:
    """Every class that is no target should lie 1 below every target; targets end at the first −1."""
    x, t = (self.reshape(1, -1), target.reshape(1, -1)) if self.dim() < 2 else (self, target)
    named = (t >= 0).to(x.dtype).cumprod(1)
    places = t.clamp(min=0)
    is_target = torch.zeros_like(x).scatter_add(1, places, named) > 0
    short = F.relu(1 - x.gather(1, places)[:, :, None] + x[:, None, :])
    losses = (short * named[:, :, None] * ~is_target[:, None, :]).sum((1, 2)) / x.shape[1]
    return _reduced(losses if self.dim() > 1 else losses.squeeze(0), reduction)


def pair_distances(*, self: Tensor, p: float) -> Tensor:
    """The p-norm of the difference of every pair of rows. Between equal rows the gradient is 0."""
    first, second = torch.triu_indices(len(self), len(self), 1)
    return torch.linalg.vector_norm(self[first] - self[second], p, 1)


def held_to_length(*, self: Tensor, p: float, dim: int, maxnorm: float) -> Tensor:
    """Slices whose p-norm is above m are scaled down to it."""
    rows = self.movedim(dim, 0).flatten(1)
    norm = torch.linalg.vector_norm(rows, p, 1, keepdim=True)
    # Torch adds 1e-7, so that nothing is divided by 0.
    scale = torch.where(norm > maxnorm, maxnorm / (norm + 1e-7), 1.0)
    whole = (rows * scale).reshape(self.movedim(dim, 0).shape)
    return whole.movedim(0, dim)


X = {"self": "x"}

MARGINS: dict[str, Rule] = {
    "multi_margin_loss": Rule(
        composed(multi_margin),
        Formula(
            "L = (1/C) Σⱼ wₜ max(0, m − xₜ + xⱼ)ᵖ, j ≠ t",
            r"L = \frac{1}{C} \sum_{j \ne t} w_t \max(0, m - x_t + x_j)^p",
        ),
        {
            "self": onward(
                "xⱼ",
                "(p/C) wₜ max(0, m − xₜ + xⱼ)ᵖ⁻¹; minus their sum at t",
                r"\frac{p}{C} w_t \max(0, m - x_t + x_j)^{p-1}",
                "x_j",
            ),
            "weight": onward("wₜ", "L/wₜ", r"\frac{L}{w_t}", "w_t"),
        },
        {"self": "x", "target": "t", "weight": "w"},
    ),
    "multilabel_margin_loss_forward": Rule(
        composed(multilabel_margin),
        Formula("L = (1/C) Σₜ Σⱼ max(0, 1 − xₜ + xⱼ)", r"L = \frac{1}{C} \sum_t \sum_j \max(0, 1 - x_t + x_j)"),
        {
            "self": onward(
                "xⱼ", "(1/C) #{t: xₜ < 1 + xⱼ}; minus the like at t", r"\frac{1}{C} \#\{t : x_t < 1 + x_j\}", "x_j"
            )
        },
        {"self": "x", "target": "t"},
    ),
    "_pdist_forward": Rule(
        composed(pair_distances),
        Formula("yᵢⱼ = ‖xᵢ − xⱼ‖ₚ, i < j", r"y_{ij} = \lVert x_i - x_j \rVert_p, \; i < j"),
        {
            "self": onward(
                "xᵢ",
                "Σⱼ gᵢⱼ sign(xᵢ − xⱼ) (|xᵢ − xⱼ|/yᵢⱼ)ᵖ⁻¹",
                r"\sum_j g_{ij} \operatorname{sign}(x_i - x_j) \left(\frac{|x_i - x_j|}{y_{ij}}\right)^{p-1}",
                "x_i",
            )
        },
        X,
    ),
    "renorm": Rule(
        composed(held_to_length),
        Formula("y = x min(1, m/‖x‖ₚ)", r"y = x \min\left(1, \frac{m}{\lVert x \rVert_p}\right)"),
        {
            "self": onward(
                "x",
                "g where ‖x‖ ≤ m, else m(g − ∇‖x‖ Σ gx/‖x‖)/‖x‖",
                r"g \text{ where } \lVert x \rVert \le m, \text{ else }"
                r" \frac{m}{\lVert x \rVert}\left(g - \nabla \lVert x \rVert \frac{\sum g x}{\lVert x \rVert}\right)",
            )
        },
        X,
        wirtinger=True,
    ),
}
