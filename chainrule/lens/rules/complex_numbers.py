"""Rules of operations that make complex numbers, take them apart or measure them.

The gradient of a complex x is ∂L/∂re x + i·∂L/∂im x: the direction in which L grows most, as torch has it (twice the
derivative by x̄ in Wirtinger's calculus). These functions have no complex derivative: each says what it hands on.
"""

import torch
from torch import Tensor

from chainrule.lens.rules.notation import onward, wanted
from chainrule.lens.rules.rule import Call, Formula, Gradients, Rule


def made_complex(call: Call, g: Tensor) -> Gradients:
    """`y = a + ib`."""
    return wanted(call, {"real": lambda: g.real, "imag": lambda: g.imag})


def polar(call: Call, g: Tensor) -> Gradients:
    """`y = r·exp(iθ)`."""
    y, theta = call.out, call["angle"]
    unit = torch.complex(theta.cos(), theta.sin())
    return wanted(call, {"abs": lambda: (g.conj() * unit).real, "angle": lambda: -(g.conj() * y).imag})


def angle(call: Call, g: Tensor) -> Gradients:
    """The angle of a complex number; at 0, and for real numbers, the gradient is 0."""
    x = call["self"]
    if not x.is_complex():
        return {"self": torch.zeros_like(g)}
    square = x.real.square() + x.imag.square()
    scaled = torch.where(square == 0, 0.0, g / square)
    return {"self": torch.complex(-x.imag * scaled, x.real * scaled)}


def as_complex(_call: Call, g: Tensor) -> Gradients:
    """`y` = x₀ + i·x₁: pairs become complex numbers."""
    return {"self": torch.view_as_real(g.resolve_conj())}


def as_real(_call: Call, g: Tensor) -> Gradients:
    """`y` = (re x, im x): complex numbers become pairs."""
    return {"self": torch.view_as_complex(g.contiguous())}


def conjugate(_call: Call, g: Tensor) -> Gradients:
    """`y` is x with the sign of its imaginary part turned."""
    return {"self": torch.conj_physical(g)}


def inner_product(call: Call, g: Tensor) -> Gradients:
    """`y = Σ āᵢbᵢ`."""
    return wanted(call, {"self": lambda: g.conj() * call["other"], "other": lambda: g * call["self"]})


X = {"self": "x"}
CONJUGATE = Rule(conjugate, Formula("y = x̄", r"y = \bar x"), {"self": onward("x", "ḡ", r"\bar g")}, X, wirtinger=True)

COMPLEX: dict[str, Rule] = {
    "complex": Rule(
        made_complex,
        Formula("y = a + ib", "y = a + i b"),
        {"real": onward("a", "re g", r"\operatorname{re} g"), "imag": onward("b", "im g", r"\operatorname{im} g")},
        {"real": "a", "imag": "b"},
        wirtinger=True,
    ),
    "polar": Rule(
        polar,
        Formula("y = r exp(iθ)", r"y = r \exp(i \theta)"),
        {
            "abs": onward("r", "re(ḡ exp(iθ))", r"\operatorname{re}(\bar g \exp(i \theta))"),
            "angle": onward("θ", "−im(ḡy)", r"-\operatorname{im}(\bar g y)", r"\theta"),
        },
        {"abs": "r", "angle": "θ"},
        wirtinger=True,
    ),
    "angle": Rule(
        angle,
        Formula("y = arg x", r"y = \arg x"),
        {"self": onward("x", "g·ix/|x|²", r"g \frac{i x}{|x|^2}")},
        X,
        wirtinger=True,
    ),
    "view_as_complex": Rule(
        as_complex,
        Formula("y = x₀ + i·x₁", "y = x_0 + i x_1"),
        {"self": onward("x", "(re g, im g)", r"(\operatorname{re} g, \operatorname{im} g)")},
        X,
        wirtinger=True,
    ),
    "view_as_real": Rule(
        as_real,
        Formula("y = (re x, im x)", r"y = (\operatorname{re} x, \operatorname{im} x)"),
        {"self": onward("x", "g₀ + i·g₁", "g_0 + i g_1")},
        X,
        wirtinger=True,
    ),
    **dict.fromkeys(("_conj", "_conj_physical"), CONJUGATE),
    "vdot": Rule(
        inner_product,
        Formula("y = Σᵢ āᵢbᵢ", r"y = \sum_i \bar a_i b_i"),
        {"self": onward("a", "ḡb", r"\bar g b"), "other": onward("b", "ga", "g a")},
        {"self": "a", "other": "b"},
        wirtinger=True,
    ),
}
