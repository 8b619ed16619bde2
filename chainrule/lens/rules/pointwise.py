"""Rules of arithmetic between tensors, element by element: sums, products, powers, and mixtures."""

import cmath
import math

import torch
from torch import Tensor

from chainrule.lens.rules.notation import slope, value, wanted
from chainrule.lens.rules.rule import Call, Gradients, Rule


def add(call: Call, g: Tensor) -> Gradients:
    """`y = a + αb`: the gradient goes to both."""
    alpha = call.get("alpha", 1)
    return wanted(call, {"self": lambda: g, "other": lambda: g if alpha == 1 else g * alpha})


def sub(call: Call, g: Tensor) -> Gradients:
    """`y = a − αb`: the gradient goes to both, with the sign turned for the second."""
    return wanted(call, {"self": lambda: g, "other": lambda: g * -call.get("alpha", 1)})


def rsub(call: Call, g: Tensor) -> Gradients:
    """`y = b − αa`: subtraction with the arguments exchanged, as in `2 - x`."""
    return wanted(call, {"self": lambda: g * -call.get("alpha", 1), "other": lambda: g})


def mul(call: Call, g: Tensor) -> Gradients:
    """`y = ab`: each factor's gradient is the other's value."""
    return wanted(call, {"self": lambda: g * call["other"], "other": lambda: g * call["self"]})


def div(call: Call, g: Tensor) -> Gradients:
    """`y = a/b`. A quotient that is rounded (rounding_mode "floor" or "trunc") is flat: its gradient is 0."""
    b = call["other"]
    if call.get("rounding_mode") is not None:
        return wanted(call, {"self": lambda: torch.zeros_like(g), "other": lambda: torch.zeros_like(g)})
    return wanted(call, {"self": lambda: g / b, "other": lambda: (call.out / b).mul_(g).neg_()})


def fmod(call: Call, g: Tensor) -> Gradients:
    """`y = a − b·trunc(a/b)`. The quotient's steps are flat."""
    return wanted(call, {"self": lambda: g, "other": lambda: -g * torch.trunc(call["self"] / call["other"])})


def remainder(call: Call, g: Tensor) -> Gradients:
    """`y = a − b·⌊a/b⌋`. The quotient's steps are flat."""
    return wanted(call, {"self": lambda: g, "other": lambda: -g * torch.floor(call["self"] / call["other"])})


def power(call: Call, g: Tensor) -> Gradients:
    """`y = aⁿ`. With n = 0 the gradient by a is 0, and with a = 0 and n ≥ 0 that by n is 0."""
    a, n = call["self"], call["exponent"]
    return wanted(call, {"self": lambda: _by_base(g, a, n), "exponent": lambda: _by_exponent(g, a, n, call.out)})


def _by_base(g: Tensor, a: Tensor, n: Tensor | float) -> Tensor:
    if isinstance(n, Tensor):
        return torch.where(n == 0, 0.0, g * n * a.pow(n - 1))
    if n == 0:
        return torch.zeros_like(g)
    return (2 * a).mul_(g) if n == 2 else a.pow(n - 1).mul_(n).mul_(g)


def _by_exponent(g: Tensor, a: Tensor | complex, n: Tensor, y: Tensor) -> Tensor:
    rising = (n.real if n.is_complex() else n) >= 0
    if isinstance(a, Tensor):
        return g * torch.where((a == 0) & rising, 0.0, y * a.log())
    return g * torch.where(rising, 0.0, y * -math.inf) if a == 0 else g * y * _logarithm(a)


def _logarithm(a: complex) -> complex:
    return cmath.log(a) if isinstance(a, complex) or a < 0 else math.log(a)


def addcmul(call: Call, g: Tensor) -> Gradients:
    """`y = a + vbc`."""
    v, b, c = call["value"], call["tensor1"], call["tensor2"]
    return wanted(call, {"self": lambda: g, "tensor1": lambda: g * c * v, "tensor2": lambda: g * b * v})


def addcdiv(call: Call, g: Tensor) -> Gradients:
    """`y = a + vb/c`."""
    v, b, c = call["value"], call["tensor1"], call["tensor2"]
    return wanted(call, {"self": lambda: g, "tensor1": lambda: g / c * v, "tensor2": lambda: -g * (b / c) / c * v})


def lerp(call: Call, g: Tensor) -> Gradients:
    """`y = a + w(b − a)`: a mix of both."""
    a, b, w = call["self"], call["end"], call["weight"]
    return wanted(call, {"self": lambda: g * (1 - w), "end": lambda: g * w, "weight": lambda: g * (b - a)})


def hypot(call: Call, g: Tensor) -> Gradients:
    """`y = √(a² + b²)`."""
    y = call.out
    return wanted(call, {"self": lambda: call["self"] / y * g, "other": lambda: call["other"] / y * g})


def atan2(call: Call, g: Tensor) -> Gradients:
    """The angle of the point (b, a)."""
    a, b = call["self"], call["other"]
    scaled = g / (a * a + b * b)
    return wanted(call, {"self": lambda: scaled * b, "other": lambda: -scaled * a})


def logaddexp(call: Call, g: Tensor) -> Gradients:
    """`y = ln(eᵃ + eᵇ)`: the gradient is shared out like a softmax."""
    y = call.out
    return wanted(
        call, {"self": lambda: (call["self"] - y).exp_().mul_(g), "other": lambda: (call["other"] - y).exp_().mul_(g)}
    )


def logaddexp2(call: Call, g: Tensor) -> Gradients:
    """The same to base 2."""
    y = call.out
    return wanted(
        call, {"self": lambda: (call["self"] - y).exp2_() * g, "other": lambda: (call["other"] - y).exp2_() * g}
    )


def xlogy(call: Call, g: Tensor) -> Gradients:
    """`y = a ln b`, and 0 where a = 0; there the gradient by a is 0 when b ≤ 0."""
    a, b = call["self"], call["other"]
    return wanted(
        call,
        {
            "self": lambda: g * torch.where((a == 0) & (b <= 0), 0.0, torch.as_tensor(b, dtype=g.dtype).log()),
            "other": lambda: g * a / b,
        },
    )


def ldexp(call: Call, g: Tensor) -> Gradients:
    """`y = a·2ᵇ`."""
    return wanted(
        call, {"self": lambda: g * torch.exp2(call["other"].to(g.dtype)), "other": lambda: g * call.out * math.log(2)}
    )


AB = {"self": "a", "other": "b"}
SUM = {"self": slope("a", "1", "1"), "other": slope("b", "α", r"\alpha")}
ADDC = {"self": "a", "tensor1": "b", "tensor2": "c", "value": "v"}

POINTWISE: dict[str, Rule] = {
    "add": Rule(add, value("a + αb", r"a + \alpha b"), SUM, {**AB, "alpha": "α"}),
    "sub": Rule(
        sub,
        value("a − αb", r"a - \alpha b"),
        {"self": slope("a", "1", "1"), "other": slope("b", "−α", r"-\alpha")},
        {**AB, "alpha": "α"},
    ),
    "rsub": Rule(
        rsub,
        value("b − αa", r"b - \alpha a"),
        {"self": slope("a", "−α", r"-\alpha"), "other": slope("b", "1", "1")},
        {**AB, "alpha": "α"},
    ),
    "mul": Rule(mul, value("ab", "a b"), {"self": slope("a", "b", "b"), "other": slope("b", "a", "a")}, AB),
    "div": Rule(
        div,
        value("a/b", r"\frac{a}{b}"),
        {"self": slope("a", "1/b", r"\frac{1}{b}"), "other": slope("b", "−y/b", r"-\frac{y}{b}")},
        AB,
    ),
    "fmod": Rule(
        fmod,
        value("a − b trunc(a/b)", r"a - b \operatorname{trunc}(a/b)"),
        {"self": slope("a", "1", "1"), "other": slope("b", "−trunc(a/b)", r"-\operatorname{trunc}(a/b)")},
        AB,
    ),
    "remainder": Rule(
        remainder,
        value("a − b⌊a/b⌋", r"a - b \lfloor a/b \rfloor"),
        {"self": slope("a", "1", "1"), "other": slope("b", "−⌊a/b⌋", r"-\lfloor a/b \rfloor")},
        AB,
    ),
    "pow": Rule(
        power,
        value("aⁿ", "a^n"),
        {"self": slope("a", "n aⁿ⁻¹", "n a^{n-1}"), "exponent": slope("n", "y ln a", r"y \ln a")},
        {"self": "a", "exponent": "n"},
    ),
    "addcmul": Rule(
        addcmul,
        value("a + vbc", "a + v b c"),
        {"self": slope("a", "1", "1"), "tensor1": slope("b", "vc", "v c"), "tensor2": slope("c", "vb", "v b")},
        ADDC,
    ),
    "addcdiv": Rule(
        addcdiv,
        value("a + vb/c", r"a + v \frac{b}{c}"),
        {
            "self": slope("a", "1", "1"),
            "tensor1": slope("b", "v/c", r"\frac{v}{c}"),
            "tensor2": slope("c", "−vb/c²", r"-\frac{v b}{c^2}"),
        },
        ADDC,
    ),
    "lerp": Rule(
        lerp,
        value("a + w(b − a)", "a + w (b - a)"),
        {
            "self": slope("a", "1 − w", "1 - w"),
            "end": slope("b", "w", "w"),
            "weight": slope("w", "b − a", "b - a"),
        },
        {"self": "a", "end": "b", "weight": "w"},
    ),
    "hypot": Rule(
        hypot,
        value("√(a² + b²)", r"\sqrt{a^2 + b^2}"),
        {"self": slope("a", "a/y", r"\frac{a}{y}"), "other": slope("b", "b/y", r"\frac{b}{y}")},
        AB,
    ),
    "atan2": Rule(
        atan2,
        value("atan2(a, b)", r"\operatorname{atan2}(a, b)"),
        {
            "self": slope("a", "b/(a² + b²)", r"\frac{b}{a^2 + b^2}"),
            "other": slope("b", "−a/(a² + b²)", r"-\frac{a}{a^2 + b^2}"),
        },
        AB,
    ),
    "logaddexp": Rule(
        logaddexp,
        value("ln(eᵃ + eᵇ)", r"\ln(e^a + e^b)"),
        {"self": slope("a", "eᵃ⁻ʸ", "e^{a-y}"), "other": slope("b", "eᵇ⁻ʸ", "e^{b-y}")},
        AB,
    ),
    "logaddexp2": Rule(
        logaddexp2,
        value("log₂(2ᵃ + 2ᵇ)", r"\log_2(2^a + 2^b)"),
        {"self": slope("a", "2ᵃ⁻ʸ", "2^{a-y}"), "other": slope("b", "2ᵇ⁻ʸ", "2^{b-y}")},
        AB,
    ),
    "ldexp": Rule(
        ldexp,
        value("a·2ᵇ", r"a 2^b"),
        {"self": slope("a", "2ᵇ", "2^b"), "other": slope("b", "y ln 2", r"y \ln 2")},
        AB,
    ),
    "xlogy": Rule(
        xlogy,
        value("a ln b", r"a \ln b"),
        {"self": slope("a", "ln b", r"\ln b"), "other": slope("b", "a/b", r"\frac{a}{b}")},
        AB,
    ),
}
