"""Rules of functions with corners and steps. Each says what it does at the corner: what torch does."""

import torch
from torch import Tensor

from chainrule.lens.rules.notation import slope, unary, value, wanted, wide
from chainrule.lens.rules.rule import Call, Gradients, Rule


def absolute(g: Tensor, x: Tensor, y: Tensor) -> Tensor:
    """At 0 the gradient is 0. Of a complex x it is g·x/|x|."""
    return x.sgn().mul_(g)


def sign(g: Tensor, x: Tensor, y: Tensor) -> Tensor:
    """A step; of a complex x it is the direction x/|x|, which turns: g·(1 − projection on y)/|x|, and 0 at 0."""
    if not x.is_complex():
        return torch.zeros_like(g)
    return torch.where(x == 0, 0.0, (g - y * (y.conj() * g).real) / x.abs())


def flat(g: Tensor, x: Tensor, y: Tensor) -> Tensor:
    """A step function: its gradient is 0 wherever it has one, and at the steps too."""
    return torch.zeros_like(g)


def frac(g: Tensor, x: Tensor, y: Tensor) -> Tensor:
    """`y = x − trunc x`: slope 1, at the steps too."""
    return g


def clamp(call: Call, g: Tensor) -> Gradients:
    """Inside the bounds, and on them, the gradient goes to x; outside to the bound that holds. Where a > b, y = b."""
    x, low, high = call["self"], call.get("min"), call.get("max")
    inside = torch.ones_like(x, dtype=torch.bool)
    inside = inside if low is None else inside & (x >= low)
    inside = inside if high is None else inside & (x <= high)
    return wanted(
        call,
        {
            "self": lambda: g * inside,
            "min": lambda: g * ((x < low) if high is None else (x < low) & (low < high)),
            "max": lambda: g * ((x > high) if low is None else (x > high) | (high < low)),
        },
    )


def maximum(call: Call, g: Tensor) -> Gradients:
    """The larger takes the gradient; equal ones take half each."""
    a, b = call["self"], call["other"]
    return wanted(call, {"self": lambda: _share(g, a > b, a == b), "other": lambda: _share(g, b > a, a == b)})


def minimum(call: Call, g: Tensor) -> Gradients:
    """The smaller takes the gradient; equal ones take half each."""
    a, b = call["self"], call["other"]
    return wanted(call, {"self": lambda: _share(g, a < b, a == b), "other": lambda: _share(g, b < a, a == b)})


def _share(g: Tensor, whole: Tensor, half: Tensor) -> Tensor:
    return g * (whole + half.to(g.dtype) / 2)


def fmax(call: Call, g: Tensor) -> Gradients:
    """Like maximum, but the first takes all when both are equal, and a NaN loses."""
    a, b = call["self"], call["other"]
    first = (a >= b) | b.isnan()
    return wanted(call, {"self": lambda: g * first, "other": lambda: g * ~first})


def fmin(call: Call, g: Tensor) -> Gradients:
    """Like minimum, but the first takes all when both are equal, and a NaN loses."""
    a, b = call["self"], call["other"]
    first = (a <= b) | b.isnan()
    return wanted(call, {"self": lambda: g * first, "other": lambda: g * ~first})


def neighbour(call: Call, g: Tensor) -> Gradients:
    """The next number after a in the direction of b: slope 1, though it is a step of the last digit."""
    return wanted(call, {"self": lambda: g, "other": lambda: torch.zeros_like(g)})


def mantissa(call: Call, g: Tensor | None, _: Tensor | None = None) -> Gradients:
    """X = m·2ᵉ with ½ ≤ |m| < 1: the exponent goes in steps."""
    return {} if g is None else {"self": torch.ldexp(g, -call.output(1))}


def logit(call: Call, g: Tensor) -> Gradients:
    """The inverse of the sigmoid. With eps, x is first clamped to [eps, 1 − eps], and flat outside."""
    x, eps = wide(call["self"]), call["eps"]
    found = g / ((1 - x) * x)
    return {"self": found if eps is None else torch.where((x >= eps) & (x <= 1 - eps), found, 0.0)}


def nan_to_num(g: Tensor, x: Tensor, y: Tensor) -> Tensor:
    """What is NaN or infinite is replaced by a constant, and has gradient 0."""
    return g * x.isfinite()


def relu(g: Tensor, x: Tensor, y: Tensor) -> Tensor:
    """At 0 the gradient is 0."""
    return g * (y > 0)


def hardtanh(call: Call, g: Tensor) -> Gradients:
    """Held between two bounds (relu6 is between 0 and 6). On a bound the gradient is 0."""
    x = call["self"]
    return {"self": g * ((x > call["min_val"]) & (x < call["max_val"]))}


def hardsigmoid(g: Tensor, x: Tensor, y: Tensor) -> Tensor:
    """At −3 and 3 the gradient is 0."""
    return g * ((x > -3) & (x < 3)) / 6


def hardswish(g: Tensor, x: Tensor, y: Tensor) -> Tensor:
    """The input times the hard sigmoid. At −3 the gradient is 0, at 3 it is 1."""
    return g * torch.where(x <= -3, 0.0, torch.where(x < 3, x / 3 + 0.5, 1.0))


def threshold(call: Call, g: Tensor) -> Gradients:
    """At the threshold the gradient is 0."""
    return {"self": g * (call["self"] > call["threshold"])}


def shrink(call: Call, g: Tensor) -> Gradients:
    """Between −λ and λ, and there too, y = 0 and the gradient is 0."""
    return {"self": g * (call["self"].abs() > call["lambd"])}


def leaky_relu(call: Call, g: Tensor) -> Gradients:
    """At 0 the gradient is the slope of the negative side."""
    return {"self": torch.where(call["self"] > 0, g, g * call["negative_slope"])}


def rrelu(call: Call, g: Tensor) -> Gradients:
    """A leaky relu whose slope is drawn anew for each element in training, and is the middle in evaluation."""
    x, middle = call["self"], (call["lower"] + call["upper"]) / 2
    drawn = torch.where(x == 0, middle, call.out / x) if call["training"] else middle
    return {"self": torch.where(x > 0, g, g * drawn)}


def prelu(call: Call, g: Tensor) -> Gradients:
    """A leaky relu whose slope is learned. At 0 the gradient is the slope."""
    x, a = call["self"], call["weight"]
    return wanted(
        call, {"self": lambda: torch.where(x > 0, g, g * a), "weight": lambda: torch.where(x > 0, 0.0, g * x)}
    )


AB = {"self": "a", "other": "b"}
ZERO = ("0", "0")


CORNERS: dict[str, Rule] = {
    "abs": unary(absolute, ("|x|", "|x|"), ("sign x", r"\operatorname{sign} x")),
    "sign": unary(flat, ("sign x", r"\operatorname{sign} x"), ZERO),
    "sgn": unary(sign, ("sign x", r"\operatorname{sign} x"), ZERO, wirtinger=True),
    "floor": unary(flat, ("⌊x⌋", r"\lfloor x \rfloor"), ZERO),
    "ceil": unary(flat, ("⌈x⌉", r"\lceil x \rceil"), ZERO),
    "trunc": unary(flat, ("trunc x", r"\operatorname{trunc} x"), ZERO),
    "round": unary(flat, ("round x", r"\operatorname{round} x"), ZERO),
    "frac": unary(frac, ("x − trunc x", r"x - \operatorname{trunc} x"), ("1", "1")),
    "clamp": Rule(
        clamp,
        value("min(max(x, a), b)", r"\min(\max(x, a), b)"),
        {
            "self": slope("x", "[a ≤ x][x ≤ b]", r"[a \le x] [x \le b]"),
            "min": slope("a", "[x < a][a < b]", "[x < a] [a < b]"),
            "max": slope("b", "[max(x, a) > b]", r"[\max(x, a) > b]"),
        },
        {"self": "x", "min": "a", "max": "b"},
    ),
    "clamp_min": Rule(
        clamp,
        value("max(x, a)", r"\max(x, a)"),
        {"self": slope("x", "[x ≥ a]", r"[x \ge a]"), "min": slope("a", "[x < a]", "[x < a]")},
        {"self": "x", "min": "a"},
    ),
    "clamp_max": Rule(
        clamp,
        value("min(x, b)", r"\min(x, b)"),
        {"self": slope("x", "[x ≤ b]", r"[x \le b]"), "max": slope("b", "[x > b]", "[x > b]")},
        {"self": "x", "max": "b"},
    ),
    "maximum": Rule(
        maximum,
        value("max(a, b)", r"\max(a, b)"),
        {
            "self": slope("a", "[a > b] + ½[a = b]", r"[a > b] + \frac{1}{2} [a = b]"),
            "other": slope("b", "[b > a] + ½[a = b]", r"[b > a] + \frac{1}{2} [a = b]"),
        },
        AB,
    ),
    "minimum": Rule(
        minimum,
        value("min(a, b)", r"\min(a, b)"),
        {
            "self": slope("a", "[a < b] + ½[a = b]", r"[a < b] + \frac{1}{2} [a = b]"),
            "other": slope("b", "[b < a] + ½[a = b]", r"[b < a] + \frac{1}{2} [a = b]"),
        },
        AB,
    ),
    "fmax": Rule(
        fmax,
        value("max(a, b)", r"\max(a, b)"),
        {"self": slope("a", "[a ≥ b]", r"[a \ge b]"), "other": slope("b", "[b > a]", "[b > a]")},
        AB,
    ),
    "fmin": Rule(
        fmin,
        value("min(a, b)", r"\min(a, b)"),
        {"self": slope("a", "[a ≤ b]", r"[a \le b]"), "other": slope("b", "[b < a]", "[b < a]")},
        AB,
    ),
    "nextafter": Rule(
        neighbour,
        value("next after a towards b", r"\operatorname{next}(a, b)"),
        {"self": slope("a", "1", "1"), "other": slope("b", "0", "0")},
        AB,
    ),
    "frexp": Rule(
        mantissa,
        value("x·2⁻ᵉ, ½ ≤ |y| < 1", r"x 2^{-e}, \; \tfrac{1}{2} \le |y| < 1"),
        {"self": slope("x", "2⁻ᵉ", "2^{-e}")},
        {"self": "x"},
    ),
    "logit": Rule(
        logit,
        value("ln(x/(1 − x))", r"\ln(\frac{x}{1 - x})"),
        {"self": slope("x", "1/(x(1 − x))", r"\frac{1}{x (1 - x)}")},
        {"self": "x"},
    ),
    "nan_to_num": unary(nan_to_num, ("x", "x"), ("1", "1")),
    "relu": unary(relu, ("max(0, x)", r"\max(0, x)"), ("[x > 0]", "[x > 0]")),
    "hardtanh": Rule(
        hardtanh,
        value("min(max(x, a), b)", r"\min(\max(x, a), b)"),
        {"self": slope("x", "[a < x][x < b]", "[a < x] [x < b]")},
        {"self": "x", "min_val": "a", "max_val": "b"},
    ),
    "hardsigmoid": unary(
        hardsigmoid,
        ("min(max(0, x + 3), 6)/6", r"\frac{\min(\max(0, x + 3), 6)}{6}"),
        ("[−3 < x][x < 3]/6", r"\frac{[-3 < x] [x < 3]}{6}"),
    ),
    "hardswish": unary(
        hardswish,
        ("x min(max(0, x + 3), 6)/6", r"\frac{x \min(\max(0, x + 3), 6)}{6}"),
        ("[−3 < x][x < 3](2x + 3)/6 + [x ≥ 3]", r"[-3 < x] [x < 3] \frac{2x + 3}{6} + [x \ge 3]"),
    ),
    "threshold": Rule(
        threshold,
        value("x[x > t] + c[x ≤ t]", r"x [x > t] + c [x \le t]"),
        {"self": slope("x", "[x > t]", "[x > t]")},
        {"self": "x", "threshold": "t", "value": "c"},
    ),
    "softshrink": Rule(
        shrink,
        value("sign x max(|x| − λ, 0)", r"\operatorname{sign} x \max(|x| - \lambda, 0)"),
        {"self": slope("x", "[|x| > λ]", r"[|x| > \lambda]")},
        {"self": "x", "lambd": "λ"},
    ),
    "hardshrink": Rule(
        shrink,
        value("x[|x| > λ]", r"x [|x| > \lambda]"),
        {"self": slope("x", "[|x| > λ]", r"[|x| > \lambda]")},
        {"self": "x", "lambd": "λ"},
    ),
    "leaky_relu": Rule(
        leaky_relu,
        value("x[x > 0] + ax[x ≤ 0]", r"x [x > 0] + a x [x \le 0]"),
        {"self": slope("x", "[x > 0] + a[x ≤ 0]", r"[x > 0] + a [x \le 0]")},
        {"self": "x", "negative_slope": "a"},
    ),
    "rrelu_with_noise": Rule(
        rrelu,
        value("x[x > 0] + ax[x ≤ 0], a drawn", r"x [x > 0] + a x [x \le 0], \quad a \text{ drawn}"),
        {"self": slope("x", "[x > 0] + a[x ≤ 0]", r"[x > 0] + a [x \le 0]")},
        {"self": "x"},
    ),
    "_prelu_kernel": Rule(
        prelu,
        value("x[x > 0] + ax[x ≤ 0]", r"x [x > 0] + a x [x \le 0]"),
        {
            "self": slope("x", "[x > 0] + a[x ≤ 0]", r"[x > 0] + a [x \le 0]"),
            "weight": slope("a", "x[x ≤ 0]", r"x [x \le 0]"),
        },
        {"self": "x", "weight": "a"},
    ),
}
