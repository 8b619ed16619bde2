"""Rules of smooth activations, and of dropout. (Those with corners stand in corners.)"""

import math

import torch
from torch import Tensor

from chainrule.lens.rules.notation import slope, unary, value, wide
from chainrule.lens.rules.rule import Call, Gradients, Rule

GELU_SCALE, GELU_CUBE = math.sqrt(2 / math.pi), 0.044715


def gelu(call: Call, g: Tensor) -> Gradients:
    """`y = xΦ(x)`, with Φ the normal distribution and φ its density.

    approximate="tanh" is y = ½x(1 + t) with t = tanh u and u = √(2/π)(x + 0.044715x³);
    ∂y/∂x = ½(1 + t) + ½x(1 − t²)u′ with u′ = √(2/π)(1 + 0.134145x²).
    """
    x = wide(call["self"])
    local = _gelu_tanh_slope(x) if call["approximate"] == "tanh" else _gelu_slope(x)
    return {"self": local.mul_(g)}


def _gelu_slope(x: Tensor) -> Tensor:
    """Φ(x) + xφ(x)."""
    density = (x * x).mul_(-0.5).exp_().mul_(1 / math.sqrt(2 * math.pi))
    return (x * math.sqrt(0.5)).neg_().erfc_().mul_(0.5).addcmul_(x, density)


def _gelu_tanh_slope(x: Tensor) -> Tensor:
    """The slope when Φ is approximated by a tanh."""
    square = x * x
    t = (square * (GELU_SCALE * GELU_CUBE)).add_(GELU_SCALE).mul_(x).tanh_()
    slope_of_u = square.mul_(3 * GELU_SCALE * GELU_CUBE).add_(GELU_SCALE).mul_(x)
    flatness = (t * t).neg_().add_(1)
    return t.add_(1).addcmul_(flatness, slope_of_u).mul_(0.5)


def silu(g: Tensor, x: Tensor, y: Tensor) -> Tensor:
    """`y = xσ(x)`, also called swish. 1 − σ(x) is made as σ(−x), without cancellation for large x."""
    return torch.sigmoid(-x).mul_(x).add_(1).mul_(torch.sigmoid(x)).mul_(g)


def mish(g: Tensor, x: Tensor, y: Tensor) -> Tensor:
    """`y = x tanh(softplus(x))`."""
    t = torch.nn.functional.softplus(x).tanh_()
    return (t * t).neg_().add_(1).mul_(torch.sigmoid(x)).mul_(x).add_(t).mul_(g)


def softplus(call: Call, g: Tensor) -> Gradients:
    """A smooth relu; where βx is above the threshold it is x itself, with slope 1."""
    scaled = wide(call["self"]) * call["beta"]
    return {"self": g * torch.where(scaled > call["threshold"], 1.0, torch.sigmoid(scaled))}


def elu(call: Call, g: Tensor) -> Gradients:
    """Exponential below 0 (selu is the same with fixed α and s). At 0 the gradient is that of the negative side."""
    x, alpha, s, c = wide(call["self"]), call["alpha"], call["scale"], call["input_scale"]
    return {"self": g * torch.where(x > 0, float(s), (x * c).exp_().mul_(s * c * alpha))}


def celu(call: Call, g: Tensor) -> Gradients:
    """An elu whose slope is continuous at 0."""
    x = wide(call["self"])
    return {"self": g * torch.where(x > 0, 1.0, (x / call["alpha"]).exp_())}


def glu(call: Call, g: Tensor) -> Gradients:
    """The first half of the axis, gated by the second."""
    a, b = wide(call["self"]).chunk(2, call["dim"])
    gate = torch.sigmoid(b)
    return {"self": torch.cat([g * gate, (1 - gate).mul_(gate).mul_(a).mul_(g)], call["dim"])}


def dropout(call: Call, g: Tensor, _: Tensor | None) -> Gradients:
    """The mask that was drawn is drawn no second time; what was kept is scaled by 1/(1 − p)."""
    p = call["p"]
    if call["train"] is False or p == 0:
        return {"input": g}
    return {"input": torch.zeros_like(g) if p == 1 else g * call.output(1) / (1 - p)}


ACTIVATION: dict[str, Rule] = {
    "gelu": Rule(
        gelu,
        value("xΦ(x)", r"x \Phi(x)"),
        {"self": slope("x", "Φ(x) + xφ(x)", r"\Phi(x) + x \varphi(x)")},
        {"self": "x"},
    ),
    "silu": unary(silu, ("xσ(x)", r"x \sigma(x)"), ("σ(x)(1 + x(1 − σ(x)))", r"\sigma(x) (1 + x (1 - \sigma(x)))")),
    "mish": unary(
        mish,
        ("x tanh(ln(1 + eˣ))", r"x \tanh(\ln(1 + e^x))"),
        ("y/x + xσ(x)(1 − (y/x)²)", r"\frac{y}{x} + x \sigma(x) (1 - (\frac{y}{x})^2)"),
    ),
    "softplus": Rule(
        softplus,
        value("ln(1 + exp(βx))/β", r"\frac{\ln(1 + \exp(\beta x))}{\beta}"),
        {"self": slope("x", "σ(βx)", r"\sigma(\beta x)")},
        {"self": "x", "beta": "β"},
    ),
    "elu": Rule(
        elu,
        value("s(x[x > 0] + α(exp(cx) − 1)[x ≤ 0])", r"s (x [x > 0] + \alpha (\exp(c x) - 1) [x \le 0])"),
        {"self": slope("x", "s([x > 0] + cα exp(cx)[x ≤ 0])", r"s ([x > 0] + c \alpha \exp(c x) [x \le 0])")},
        {"self": "x", "alpha": "α", "scale": "s", "input_scale": "c"},
    ),
    "celu": Rule(
        celu,
        value("x[x > 0] + α(exp(x/α) − 1)[x ≤ 0]", r"x [x > 0] + \alpha (\exp(x/\alpha) - 1) [x \le 0]"),
        {"self": slope("x", "[x > 0] + exp(x/α)[x ≤ 0]", r"[x > 0] + \exp(x/\alpha) [x \le 0]")},
        {"self": "x", "alpha": "α"},
    ),
    "glu": Rule(
        glu,
        value("a ⊙ σ(b), x = (a, b)", r"a \odot \sigma(b), \quad x = (a, b)"),
        {"self": slope("x", "(σ(b), aσ(b)(1 − σ(b)))", r"\left(\sigma(b), a \sigma(b) (1 - \sigma(b))\right)")},
        {"self": "x"},
    ),
    "native_dropout": Rule(
        dropout,
        value("mx/(1 − p)", r"\frac{m x}{1 - p}"),
        {"input": slope("x", "m/(1 − p)", r"\frac{m}{1 - p}")},
        {"input": "x", "p": "p"},
    ),
}
