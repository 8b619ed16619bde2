"""Rules of special functions: gamma and zeta, Bessel, the tails of the normal distribution, entropy."""

import math

import torch
from torch import Tensor

from chainrule.lens.rules.notation import slope, unary, value, wanted, wide
from chainrule.lens.rules.rule import Call, Gradients, Rule


def lgamma(g: Tensor, x: Tensor, y: Tensor) -> Tensor:
    """The digamma function ψ is its derivative."""
    return torch.digamma(x).mul_(g)


def digamma(g: Tensor, x: Tensor, y: Tensor) -> Tensor:
    """The trigamma function ψ₁ is its derivative."""
    return g * _trigamma(x)


def _trigamma(x: Tensor) -> Tensor:
    """ψ₁ as Hurwitz's ζ(2, x), by reflection where x < 0: torch's own polygamma(1, x) has ten digits only."""
    right = torch.where(x > 0, x, 1 - x)
    found = torch.special.zeta(2.0, right)
    return torch.where(x > 0, found, (math.pi / torch.sin(math.pi * x)).square() - found)


def polygamma(call: Call, g: Tensor) -> Gradients:
    """The n-th derivative of ψ has the next one as its derivative."""
    x, n = call["self"], call["n"]
    return {"self": g * (_trigamma(x) if n == 0 else torch.polygamma(n + 1, x))}


def multivariate_lgamma(call: Call, g: Tensor) -> Gradients:
    """A sum of p log-gamma functions, each half a step further."""
    steps = torch.arange(call["p"], dtype=g.dtype, device=g.device) / 2
    return {"self": torch.digamma(call["self"].unsqueeze(-1) - steps).sum(-1) * g}


def _gamma_density(a: Tensor, x: Tensor) -> Tensor:
    return torch.exp(torch.xlogy(a - 1, x) - x - torch.lgamma(a))


def lower_gamma(call: Call, g: Tensor) -> Gradients:
    """The distribution function of the gamma distribution; by x its density. By a it has no rule, and none in torch."""
    a, x = call["self"], call["other"]
    return wanted(call, {"other": lambda: g * _gamma_density(a, x)})


def upper_gamma(call: Call, g: Tensor) -> Gradients:
    """What the lower one leaves of 1."""
    a, x = call["self"], call["other"]
    return wanted(call, {"other": lambda: -g * _gamma_density(a, x)})


def i0(g: Tensor, x: Tensor, y: Tensor) -> Tensor:
    """`y = I₀(x)`, a modified Bessel function."""
    return torch.special.i1(x).mul_(g)


def i0e(g: Tensor, x: Tensor, y: Tensor) -> Tensor:
    """`y = exp(−|x|)·I₀(x)`, which does not overflow."""
    return (torch.special.i1e(x) - x.sign() * y).mul_(g)


def i1(g: Tensor, x: Tensor, y: Tensor) -> Tensor:
    """`y = I₁(x)`; I₁(x)/x is ½ at 0."""
    return (torch.special.i0(x) - torch.where(x == 0, 0.5, y / x)).mul_(g)


def i1e(g: Tensor, x: Tensor, y: Tensor) -> Tensor:
    """`y = exp(−|x|)·I₁(x)`; its slope at 0 is ½."""
    return torch.where(x == 0, 0.5, torch.special.i0e(x) - y * (x.sign() + 1 / x)).mul_(g)


def erfcx(g: Tensor, x: Tensor, y: Tensor) -> Tensor:
    """`y = exp(x²)·erfc x`, which does not underflow."""
    return (2 * x * y).sub_(2 / math.sqrt(math.pi)).mul_(g)


def ndtri(g: Tensor, x: Tensor, y: Tensor) -> Tensor:
    """The inverse of the normal distribution function Φ: one over its density at y."""
    return (y * y / 2).exp_().mul_(math.sqrt(2 * math.pi)).mul_(g)


def log_ndtr(g: Tensor, x: Tensor, y: Tensor) -> Tensor:
    """`y = ln Φ(x)`: φ/Φ, made without either underflowing."""
    return g * math.sqrt(2 / math.pi) / torch.special.erfcx(-x / math.sqrt(2))


def entropy(g: Tensor, x: Tensor, y: Tensor) -> Tensor:
    """`y = −x ln x`, and 0 at 0, where the gradient is infinite."""
    return (x.log() + 1).neg_().mul_(g)


def xlog1py(call: Call, g: Tensor) -> Gradients:
    """`y = a ln(1 + b)`, and 0 where a = 0; there the gradient by a is 0 when b ≤ −1."""
    a, b = call["self"], call["other"]
    return wanted(
        call,
        {
            "self": lambda: g * torch.where((a == 0) & (b <= -1), 0.0, torch.as_tensor(b, dtype=g.dtype).log1p()),
            "other": lambda: g * a / (b + 1),
        },
    )


def zeta(call: Call, g: Tensor) -> Gradients:
    """Hurwitz's zeta function; by the exponent it has no rule, and none in torch."""
    x, q = call["self"], call["other"]
    return wanted(call, {"other": lambda: -g * x * torch.special.zeta(x + 1, q)})


def copysign(call: Call, g: Tensor) -> Gradients:
    """The size of a with the sign of b; at 0 the gradient is 0."""
    a, y = call["self"], call.out
    return wanted(
        call, {"self": lambda: g * torch.where(a == 0, 0.0, y / wide(a)), "other": lambda: torch.zeros_like(g)}
    )


AB = {"self": "a", "other": "b"}
AX = {"self": "a", "other": "x"}
XQ = {"self": "x", "other": "q"}
DENSITY = ("xᵃ⁻¹ exp(−x)/Γ(a)", r"\frac{x^{a-1} \exp(-x)}{\Gamma(a)}")

SPECIAL: dict[str, Rule] = {
    "lgamma": unary(lgamma, ("lnΓ(x)", r"\ln\Gamma(x)"), ("ψ(x)", r"\psi(x)")),
    "digamma": unary(digamma, ("ψ(x)", r"\psi(x)"), ("ψ₁(x)", r"\psi_1(x)")),
    "polygamma": Rule(
        polygamma,
        value("ψₙ(x)", r"\psi_n(x)"),
        {"self": slope("x", "ψₙ₊₁(x)", r"\psi_{n+1}(x)")},
        {"self": "x", "n": "n"},
    ),
    "mvlgamma": Rule(
        multivariate_lgamma,
        value("Σⱼ lnΓ(x − j/2) + const, j < p", r"\sum_{j<p} \ln\Gamma(x - \frac{j}{2}) + \mathrm{const}"),
        {"self": slope("x", "Σⱼ ψ(x − j/2)", r"\sum_{j<p} \psi(x - \frac{j}{2})")},
        {"self": "x", "p": "p"},
    ),
    "igamma": Rule(lower_gamma, value("P(a, x)", "P(a, x)"), {"other": slope("x", *DENSITY)}, AX),
    "igammac": Rule(
        upper_gamma,
        value("1 − P(a, x)", "1 - P(a, x)"),
        {"other": slope("x", "−" + DENSITY[0], "-" + DENSITY[1])},
        AX,
    ),
    "i0": unary(i0, ("I₀(x)", "I_0(x)"), ("I₁(x)", "I_1(x)")),
    "special_i0e": unary(
        i0e,
        ("exp(−|x|)I₀(x)", r"\exp(-|x|) I_0(x)"),
        ("exp(−|x|)I₁(x) − y sign x", r"\exp(-|x|) I_1(x) - y \operatorname{sign} x"),
    ),
    "special_i1": unary(i1, ("I₁(x)", "I_1(x)"), ("I₀(x) − y/x", r"I_0(x) - \frac{y}{x}")),
    "special_i1e": unary(
        i1e,
        ("exp(−|x|)I₁(x)", r"\exp(-|x|) I_1(x)"),
        ("exp(−|x|)I₀(x) − y(sign x + 1/x)", r"\exp(-|x|) I_0(x) - y (\operatorname{sign} x + \frac{1}{x})"),
    ),
    "special_erfcx": unary(
        erfcx,
        ("exp(x²)(1 − erf x)", r"\exp(x^2) (1 - \operatorname{erf} x)"),
        ("2xy − 2/√π", r"2 x y - \frac{2}{\sqrt{\pi}}"),
    ),
    "special_ndtri": unary(
        ndtri,
        ("√2 erfinv(2x − 1)", r"\sqrt{2} \operatorname{erfinv}(2 x - 1)"),
        ("√(2π) exp(y²/2)", r"\sqrt{2 \pi} \exp(\frac{y^2}{2})"),
    ),
    "special_log_ndtr": unary(log_ndtr, ("ln(Φ(x))", r"\ln(\Phi(x))"), ("φ(x)/Φ(x)", r"\frac{\varphi(x)}{\Phi(x)}")),
    "special_entr": unary(entropy, ("−x ln x", r"-x \ln x"), ("−ln x − 1", r"-\ln x - 1")),
    "special_xlog1py": Rule(
        xlog1py,
        value("a ln(1 + b)", r"a \ln(1 + b)"),
        {"self": slope("a", "ln(1 + b)", r"\ln(1 + b)"), "other": slope("b", "a/(1 + b)", r"\frac{a}{1 + b}")},
        AB,
    ),
    "special_zeta": Rule(
        zeta,
        value("ζ(x, q)", r"\zeta(x, q)"),
        {"other": slope("q", "−xζ(x + 1, q)", r"-x \zeta(x + 1, q)")},
        XQ,
    ),
    "copysign": Rule(
        copysign,
        value("|a| sign b", r"|a| \operatorname{sign} b"),
        {
            "self": slope("a", "sign a sign b", r"\operatorname{sign} a \operatorname{sign} b"),
            "other": slope("b", "0", "0"),
        },
        AB,
    ),
}
