"""Rules of operations that act on each element alone."""

from torch import Tensor

from chainrule.lens.rules.rule import Call, Formula, Gradients, Rule, unbroadcast


def mul(call: Call, g: Tensor) -> Gradients:
    """Y = a·b: each factor's gradient is the other's value."""
    a, b = call["self"], call["other"]
    found = {}
    if call.needs("self"):
        found["self"] = unbroadcast(g * b, a.shape)
    if call.needs("other"):
        found["other"] = unbroadcast(g * a, b.shape)
    return found


def add(call: Call, g: Tensor) -> Gradients:
    """Y = a + α·b: the gradient goes to both."""
    found = {}
    if call.needs("self"):
        found["self"] = unbroadcast(g, call["self"].shape)
    if call.needs("other"):
        alpha = call.get("alpha", 1)
        found["other"] = unbroadcast(g if alpha == 1 else g * alpha, call["other"].shape)
    return found


def sigmoid(call: Call, g: Tensor) -> Gradients:
    """Y = 1/(1 + e⁻ˣ)."""
    y = call.out
    return {"self": g * y * (1 - y)}


POINTWISE: dict[str, Rule] = {
    "add": Rule(
        add,
        Formula("y = a + b", "y = a + b"),
        {
            "self": Formula("∂y/∂a = 1", r"\partial y/\partial a = 1"),
            "other": Formula("∂y/∂b = 1", r"\partial y/\partial b = 1"),
        },
        {"self": "a", "other": "b"},
    ),
    "mul": Rule(
        mul,
        Formula("y = a·b", "y = a b"),
        {
            "self": Formula("∂y/∂a = b", r"\partial y/\partial a = b"),
            "other": Formula("∂y/∂b = a", r"\partial y/\partial b = a"),
        },
        {"self": "a", "other": "b"},
    ),
    "sigmoid": Rule(
        sigmoid,
        Formula("y = 1/(1 + e⁻ˣ)", r"y = \frac{1}{1 + e^{-x}}"),
        {"self": Formula("∂y/∂x = y(1 − y)", r"\frac{\partial y}{\partial x} = y(1 - y)")},
        {"self": "x"},
    ),
}
