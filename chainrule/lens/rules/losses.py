"""Rules of losses."""

from torch import Tensor

from chainrule.lens.rules.rule import Call, Formula, Gradients, Rule

MEAN, SUM = 1, 2


def binary_cross_entropy(call: Call, g: Tensor) -> Gradients:
    """L = −(t ln a + (1 − t) ln(1 − a)), averaged or summed; torch keeps a(1 − a) above 1e-12."""
    a, t, weight = call["self"], call["target"], call.get("weight")
    local = (a - t) / (a * (1 - a)).clamp(min=1e-12)
    if weight is not None:
        local = local * weight
    if call["reduction"] == MEAN:
        local = local / a.numel()
    return {"self": g * local}


LOSSES: dict[str, Rule] = {
    "binary_cross_entropy": Rule(
        binary_cross_entropy,
        Formula("L = −t ln a − (1 − t) ln(1 − a)", r"L = -t \ln a - (1 - t) \ln(1 - a)"),
        {"self": Formula("∂L/∂a = (a − t)/(a(1 − a))", r"\frac{\partial L}{\partial a} = \frac{a - t}{a(1 - a)}")},
        {"self": "a", "target": "t"},
    ),
}
