"""Rules of the functions of one number: roots, exponentials, logarithms, angles, and the error function."""

import math

import torch
from torch import Tensor

from chainrule.lens.rules.notation import unary
from chainrule.lens.rules.rule import Rule


def deg2rad(g: Tensor, x: Tensor, y: Tensor) -> Tensor:
    """An angle in degrees as one in radians."""
    return g * (math.pi / 180)


def rad2deg(g: Tensor, x: Tensor, y: Tensor) -> Tensor:
    """An angle in radians as one in degrees."""
    return g * (180 / math.pi)


def neg(g: Tensor, x: Tensor, y: Tensor) -> Tensor:
    """The sign turns."""
    return -g


def reciprocal(g: Tensor, x: Tensor, y: Tensor) -> Tensor:
    """`y = 1/x`."""
    return (y * y).mul_(g).neg_()


def sqrt(g: Tensor, x: Tensor, y: Tensor) -> Tensor:
    """`y = √x`. At 0 the gradient is infinite."""
    return g / (2 * y)


def rsqrt(g: Tensor, x: Tensor, y: Tensor) -> Tensor:
    """`y = 1/√x`."""
    return (y * y).mul_(y).mul_(g).mul_(-0.5)


def exp(g: Tensor, x: Tensor, y: Tensor) -> Tensor:
    """The function that is its own derivative."""
    return g * y


def exp2(g: Tensor, x: Tensor, y: Tensor) -> Tensor:
    """`y = 2ˣ`."""
    return (y * math.log(2)).mul_(g)


def expm1(g: Tensor, x: Tensor, y: Tensor) -> Tensor:
    """`y = eˣ − 1`, exact near 0. Its derivative is y + 1, but made from x: y has lost its digits near −1."""
    return x.exp().mul_(g)


def log(g: Tensor, x: Tensor, y: Tensor) -> Tensor:
    """`y = ln x`. At 0 the gradient is infinite."""
    return g / x


def log2(g: Tensor, x: Tensor, y: Tensor) -> Tensor:
    """`y = log₂ x`."""
    return g / (x * math.log(2))


def log10(g: Tensor, x: Tensor, y: Tensor) -> Tensor:
    """`y = log₁₀ x`."""
    return g / (x * math.log(10))


def log1p(g: Tensor, x: Tensor, y: Tensor) -> Tensor:
    """`y = ln(1 + x)`, exact near 0."""
    return g / (x + 1)


def sin(g: Tensor, x: Tensor, y: Tensor) -> Tensor:
    """The sine's derivative is the cosine."""
    return x.cos().mul_(g)


def cos(g: Tensor, x: Tensor, y: Tensor) -> Tensor:
    """The cosine's derivative is minus the sine."""
    return x.sin().mul_(g).neg_()


def tan(g: Tensor, x: Tensor, y: Tensor) -> Tensor:
    """`y = tan x`."""
    return (y * y).add_(1).mul_(g)


def asin(g: Tensor, x: Tensor, y: Tensor) -> Tensor:
    """(1 − x)(1 + x) is 1 − x² without cancellation near ±1."""
    return g * ((1 - x) * (1 + x)).rsqrt_()


def acos(g: Tensor, x: Tensor, y: Tensor) -> Tensor:
    """Minus the derivative of arcsin."""
    return -g * ((1 - x) * (1 + x)).rsqrt_()


def atan(g: Tensor, x: Tensor, y: Tensor) -> Tensor:
    """`y = arctan x`."""
    return g / (x * x).add_(1)


def sinh(g: Tensor, x: Tensor, y: Tensor) -> Tensor:
    """The hyperbolic sine's derivative is the hyperbolic cosine."""
    return x.cosh().mul_(g)


def cosh(g: Tensor, x: Tensor, y: Tensor) -> Tensor:
    """The hyperbolic cosine's derivative is the hyperbolic sine."""
    return x.sinh().mul_(g)


def tanh(g: Tensor, x: Tensor, y: Tensor) -> Tensor:
    """Flat where y is near ±1: gradients vanish there.

    Made from x, as 4e/(1 + e)² with e = e^−2|x|: 1 − y² has lost its digits where y is near ±1.
    Of a complex x it is 1 − y².
    """
    if x.is_complex():
        return (1 - y * y).mul_(g)
    e = x.abs().mul_(-2).exp_()
    return (4 * e / (1 + e).square_()).mul_(g)


def asinh(g: Tensor, x: Tensor, y: Tensor) -> Tensor:
    """`y = arsinh x`."""
    return g * (x * x).add_(1).rsqrt_()


def acosh(g: Tensor, x: Tensor, y: Tensor) -> Tensor:
    """(x − 1)(x + 1) is x² − 1 without cancellation near 1. Of a complex x each factor has its own root."""
    if x.is_complex():
        return g * (x - 1).rsqrt() * (x + 1).rsqrt()
    return g * ((x - 1) * (x + 1)).rsqrt_()


def atanh(g: Tensor, x: Tensor, y: Tensor) -> Tensor:
    """(1 − x)(1 + x) is 1 − x² without cancellation near ±1."""
    return g / ((1 - x) * (1 + x))


def sigmoid(g: Tensor, x: Tensor, y: Tensor) -> Tensor:
    """`y = 1/(1 + e⁻ˣ)`: at most ¼, so that gradients shrink on the way back.

    Made from x, as e/(1 + e)² with e = e^−|x|: 1 − y has lost its digits where y is near 1.
    Of a complex x it is y(1 − y).
    """
    if x.is_complex():
        return (1 - y).mul_(y).mul_(g)
    e = x.abs().neg_().exp_()
    return (e / (1 + e).square_()).mul_(g)


def logsigmoid(g: Tensor, x: Tensor, y: Tensor) -> Tensor:
    """`y = ln σ(x)`."""
    return torch.sigmoid(-x).mul_(g)


def erf(g: Tensor, x: Tensor, y: Tensor) -> Tensor:
    """A bell curve."""
    return (x * x).neg_().exp_().mul_(2 / math.sqrt(math.pi)).mul_(g)


def erfc(g: Tensor, x: Tensor, y: Tensor) -> Tensor:
    """Minus the bell curve."""
    return (x * x).neg_().exp_().mul_(-2 / math.sqrt(math.pi)).mul_(g)


def erfinv(g: Tensor, x: Tensor, y: Tensor) -> Tensor:
    """The inverse of erf."""
    return (y * y).exp_().mul_(math.sqrt(math.pi) / 2).mul_(g)


def sinc(g: Tensor, x: Tensor, y: Tensor) -> Tensor:
    """`y = sin(πx)/(πx)`; at 0 the value is 1 and the derivative 0."""
    return g * torch.where(x == 0, 0.0, ((math.pi * x).cos() - y) / x)


ELEMENTARY: dict[str, Rule] = {
    "deg2rad": unary(deg2rad, ("πx/180", r"\frac{\pi x}{180}"), ("π/180", r"\frac{\pi}{180}")),
    "rad2deg": unary(rad2deg, ("180x/π", r"\frac{180 x}{\pi}"), ("180/π", r"\frac{180}{\pi}")),
    **dict.fromkeys(("neg", "_neg_view"), unary(neg, ("−x", "-x"), ("−1", "-1"))),
    "reciprocal": unary(reciprocal, ("1/x", r"\frac{1}{x}"), ("−y²", "-y^2")),
    "sqrt": unary(sqrt, ("√x", r"\sqrt{x}"), ("1/(2y)", r"\frac{1}{2y}")),
    "rsqrt": unary(rsqrt, ("1/√x", r"\frac{1}{\sqrt{x}}"), ("−y³/2", r"-\frac{y^3}{2}")),
    "exp": unary(exp, ("eˣ", "e^x"), ("y", "y")),
    "exp2": unary(exp2, ("2ˣ", "2^x"), ("y ln 2", r"y \ln 2")),
    "expm1": unary(expm1, ("eˣ − 1", "e^x - 1"), ("y + 1", "y + 1")),
    "log": unary(log, ("ln x", r"\ln x"), ("1/x", r"\frac{1}{x}")),
    "log2": unary(log2, ("log₂ x", r"\log_2 x"), ("1/(x ln 2)", r"\frac{1}{x \ln 2}")),
    "log10": unary(log10, ("log₁₀ x", r"\log_{10} x"), ("1/(x ln 10)", r"\frac{1}{x \ln 10}")),
    "log1p": unary(log1p, ("ln(1 + x)", r"\ln(1 + x)"), ("1/(1 + x)", r"\frac{1}{1 + x}")),
    "sin": unary(sin, ("sin x", r"\sin x"), ("cos x", r"\cos x")),
    "cos": unary(cos, ("cos x", r"\cos x"), ("−sin x", r"-\sin x")),
    "tan": unary(tan, ("tan x", r"\tan x"), ("1 + y²", "1 + y^2")),
    "asin": unary(asin, ("arcsin x", r"\arcsin x"), ("1/√(1 − x²)", r"\frac{1}{\sqrt{1 - x^2}}")),
    "acos": unary(acos, ("arccos x", r"\arccos x"), ("−1/√(1 − x²)", r"-\frac{1}{\sqrt{1 - x^2}}")),
    "atan": unary(atan, ("arctan x", r"\arctan x"), ("1/(1 + x²)", r"\frac{1}{1 + x^2}")),
    "sinh": unary(sinh, ("sinh x", r"\sinh x"), ("cosh x", r"\cosh x")),
    "cosh": unary(cosh, ("cosh x", r"\cosh x"), ("sinh x", r"\sinh x")),
    "tanh": unary(tanh, ("tanh x", r"\tanh x"), ("1 − y²", "1 - y^2")),
    "asinh": unary(asinh, ("arsinh x", r"\operatorname{arsinh} x"), ("1/√(1 + x²)", r"\frac{1}{\sqrt{1 + x^2}}")),
    "acosh": unary(acosh, ("arcosh x", r"\operatorname{arcosh} x"), ("1/√(x² − 1)", r"\frac{1}{\sqrt{x^2 - 1}}")),
    "atanh": unary(atanh, ("artanh x", r"\operatorname{artanh} x"), ("1/(1 − x²)", r"\frac{1}{1 - x^2}")),
    "sigmoid": unary(sigmoid, ("1/(1 + e⁻ˣ)", r"\frac{1}{1 + e^{-x}}"), ("y(1 − y)", "y (1 - y)")),
    "log_sigmoid_forward": unary(
        logsigmoid, ("−ln(1 + e⁻ˣ)", r"-\ln(1 + e^{-x})"), ("1/(1 + eˣ)", r"\frac{1}{1 + e^x}")
    ),
    "erf": unary(erf, ("erf x", r"\operatorname{erf} x"), ("2 exp(−x²)/√π", r"\frac{2}{\sqrt{\pi}} \exp(-x^2)")),
    "erfc": unary(
        erfc, ("1 − erf x", r"1 - \operatorname{erf} x"), ("−2 exp(−x²)/√π", r"-\frac{2}{\sqrt{\pi}} \exp(-x^2)")
    ),
    "erfinv": unary(
        erfinv,
        ("erfinv x", r"\operatorname{erfinv} x"),
        ("½√π exp(y²)", r"\frac{\sqrt{\pi}}{2} \exp(y^2)"),
    ),
    "sinc": unary(
        sinc, ("sin(πx)/(πx)", r"\frac{\sin(\pi x)}{\pi x}"), ("(cos(πx) − y)/x", r"\frac{\cos(\pi x) - y}{x}")
    ),
}
