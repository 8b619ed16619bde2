"""Rules of softmax and its logarithm."""

import torch
from torch import Tensor

from chainrule.lens.rules.notation import onward, wide
from chainrule.lens.rules.rule import Call, Formula, Gradients, Rule


def softmax(call: Call, g: Tensor) -> Gradients:
    """Rows sum to 1, so that a gradient equal on a whole row has no effect. A row that is masked whole gets 0."""
    y, dim = wide(call.out), call["dim"]
    found = y * wide(g)
    return {"self": found.addcmul_(y, found.sum(dim, keepdim=True), value=-1)}


def log_softmax(call: Call, g: Tensor) -> Gradients:
    """What is handed on sums to 0 along the axis."""
    y, g = wide(call.out), wide(g)
    probabilities = y.exp()
    return {"self": torch.addcmul(g, probabilities, g.sum(call["dim"], keepdim=True), value=-1, out=probabilities)}


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
