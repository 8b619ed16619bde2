"""Rules of softmax and its logarithm."""

import torch
from torch import Tensor

from chainrule.lens.rules.notation import onward, wide
from chainrule.lens.rules.rule import Call, Formula, Gradients, Rule

# Below e^−0.01 a probability leaves 1 − p two digits less than all at most.
CERTAIN = -0.01


def softmax(call: Call, g: Tensor) -> Gradients:
    """Rows sum to 1, so that a gradient equal on a whole row has no effect. A row that is masked whole gets 0."""
    y, dim = wide(call.out), call["dim"]
    found = y * wide(g)
    return {"self": found.addcmul_(y, found.sum(dim, keepdim=True), value=-1)}


def log_softmax(call: Call, g: Tensor) -> Gradients:
    """What is handed on sums to 0 along the axis. Where one probability is near 1, what is left to it is summed."""
    y, g, dim = wide(call.out), wide(g), call["dim"]
    probabilities = y.exp()
    found = torch.addcmul(g, probabilities, g.sum(dim, keepdim=True), value=-1, out=probabilities)
    if not y.numel() or not y.dim():
        return {"self": found}
    top, place = y.max(dim, keepdim=True)
    certain = top > CERTAIN
    return {"self": _among_the_certain(call, g, found, place, certain) if bool(certain.any()) else found}


def _among_the_certain(call: Call, g: Tensor, found: Tensor, place: Tensor, certain: Tensor) -> Tensor:
    """Of a probability p near 1, 1 − p is the sum of the others: it gets g(1 − p) − pΣg of the others."""
    x, dim = wide(call["self"]).to(g.dtype), call["dim"]
    odds = (x - x.gather(dim, place)).exp_().scatter_(dim, place, 0).sum(dim, keepdim=True)
    others = g.scatter(dim, place, 0).sum(dim, keepdim=True)
    exact = (g.gather(dim, place) * odds - others) / (1 + odds)
    return found.scatter_(dim, place, torch.where(certain, exact, found.gather(dim, place)))


VALUE = Formula("yᵢ = exp xᵢ / Σⱼ exp xⱼ", r"y_i = \frac{e^{x_i}}{\sum_j e^{x_j}}")
FORMULAS = {"self": onward("x", "y ⊙ (g − Σ g⊙y)", r"y \odot \left(g - \sum g \odot y\right)")}

SOFTMAX: dict[str, Rule] = {
    "_softmax": Rule(softmax, VALUE, FORMULAS, {"self": "x"}),
    "_safe_softmax": Rule(softmax, VALUE, FORMULAS, {"self": "x"}),
    "_log_softmax": Rule(
        log_softmax,
        Formula("yᵢ = xᵢ − ln Σⱼ exp xⱼ", r"y_i = x_i - \ln \sum_j e^{x_j}"),
        {"self": onward("x", "g − exp(y) Σ g", r"g - e^y \sum g")},
        {"self": "x"},
    ),
}
