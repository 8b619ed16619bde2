"""Rules of reductions: sums, means, products, spreads, norms, and running sums."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from chainrule.lens.rules.notation import onward, slope, value, wide
from chainrule.lens.rules.rule import Call, Formula, Gradients, Rule


def axes_of(call: Call) -> list[int]:
    """The axes that are reduced, none given meaning all, counted from the front."""
    rank, dim = call["self"].dim(), call.get("dim")
    given = [dim] if isinstance(dim, int) else list(dim) if dim is not None else []
    return sorted({axis % rank for axis in given} or range(rank)) if rank else []


def restore(call: Call, reduced: Tensor) -> Tensor:
    """A reduced tensor with its axes back, of length 1, so that it broadcasts against the input."""
    if call.get("keepdim", False):
        return reduced
    for axis in axes_of(call):
        reduced = reduced.unsqueeze(axis)
    return reduced


def count(call: Call) -> int:
    """How many elements go into each result."""
    x = call["self"]
    return math.prod(x.shape[axis] for axis in axes_of(call))


def add_up(call: Call, g: Tensor) -> Gradients:
    """Each summand gets the gradient of the sum."""
    return {"self": restore(call, g).expand(call["self"].shape)}


def nansum(call: Call, g: Tensor) -> Gradients:
    """A sum that leaves NaN out; NaN gets no gradient."""
    return {"self": restore(call, g) * ~call["self"].isnan()}


def mean(call: Call, g: Tensor) -> Gradients:
    """Each element gets an equal part."""
    return {"self": _by_mean(call, g)}


def _by_mean(call: Call, g: Tensor) -> Tensor:
    return (restore(call, g) / count(call)).expand(call["self"].shape)


def prod(call: Call, g: Tensor) -> Gradients:
    """The product of all other factors, made without division so that a factor may be 0."""
    x = call["self"]
    flat = x.reshape(-1, 1) if call.get("dim") is None else x.movedim(call["dim"], 0)
    one = torch.ones_like(flat[:1])
    before = torch.cat([one, flat[:-1]]).cumprod(0)
    after = torch.cat([flat[1:], one]).flip(0).cumprod(0).flip(0)
    others = before * after
    others = others.reshape(x.shape) if call.get("dim") is None else others.movedim(0, call["dim"])
    return {"self": restore(call, g) * others}


def _centred(call: Call) -> Tensor:
    x = wide(call["self"])
    return x - x.mean(axes_of(call), keepdim=True) if x.dim() else x - x


def _freedom(call: Call) -> float:
    correction = call.get("correction")
    return max(count(call) - (1 if correction is None else correction), 0)


def var(call: Call, g: Tensor) -> Gradients:
    """The mean moves too, but its part cancels. `correction` c is 1 where none is given: division by n − 1."""
    return {"self": _by_variance(call, g)}


def _by_variance(call: Call, g: Tensor) -> Tensor:
    return _centred(call) * (restore(call, g) * (2 / _freedom(call) if _freedom(call) else math.inf))


def std(call: Call, g: Tensor) -> Gradients:
    """The root of the variance. Where it is 0 the gradient is 0."""
    return {"self": _by_std(call, g, call.out)}


def _by_std(call: Call, g: Tensor, y: Tensor) -> Tensor:
    scale = torch.where(y == 0, 0.0, g / (y * _freedom(call)))
    return _centred(call) * restore(call, scale)


def var_mean(call: Call, g: Tensor | None, g_mean: Tensor | None) -> Gradients:
    """Variance and mean at once."""
    return _with_mean(call, None if g is None else _by_variance(call, g), g_mean)


def std_mean(call: Call, g: Tensor | None, g_mean: Tensor | None) -> Gradients:
    """Standard deviation and mean at once."""
    return _with_mean(call, None if g is None else _by_std(call, g, call.output(0)), g_mean)


def _with_mean(call: Call, spread: Tensor | None, g_mean: Tensor | None) -> Gradients:
    if g_mean is None:
        return {} if spread is None else {"self": spread}
    share = _by_mean(call, g_mean)
    return {"self": share if spread is None else share + spread}


def logsumexp(call: Call, g: Tensor) -> Gradients:
    """The softmax of the elements; 0 where all of them are −∞."""
    x, y = wide(call["self"]), restore(call, wide(call.out))
    return {"self": (x - y.masked_fill(y.isinf(), 0)).exp_().mul_(restore(call, g))}


def norm(call: Call, g: Tensor) -> Gradients:
    """The p-norm, p = 2 if none is given. At 0 the gradient is 0; several largest (p = ∞) share it equally."""
    x, y = call["self"], restore(call, call.out)
    p = call.get("ord", call.get("p", 2))
    p = 2 if p is None else float(p)
    x = x if x.is_complex() else x.to(y.dtype)
    if p == 2:
        return {"self": x * torch.where(y == 0, 0.0, restore(call, g) / y)}
    if p == 1:
        return {"self": x.sgn() * restore(call, g)}
    if p == 0:
        return {"self": torch.zeros_like(x)}
    if math.isinf(p):
        reached = (x.abs() == y).to(y.dtype)
        share = reached / reached.sum(axes_of(call), keepdim=True) if x.dim() else reached
        return {"self": x.sgn() * share * restore(call, g)}
    ratio = torch.where(y == 0, 0.0, x.abs() / y)
    return {"self": torch.where(x == 0, 0.0, x.sgn() * ratio.pow(p - 1)) * restore(call, g)}


def cumsum(call: Call, g: Tensor) -> Gradients:
    """Each element is in its own sum and all later ones: the running sum from the other end."""
    return {"self": _from_the_end(g, call["dim"])}


def _from_the_end(g: Tensor, dim: int) -> Tensor:
    return g.flip(dim).cumsum(dim).flip(dim) if g.dim() else g


def cumprod(call: Call, g: Tensor) -> Gradients:
    """Walked from the end, without division so that a factor may be 0: aₖ = gₖ + aₖ₊₁xₖ₊₁."""
    x, y, dim = call["self"], call.out, call["dim"]
    if not x.dim():
        return {"self": g}
    parts: list[Tensor] = []
    later = torch.zeros_like(g.select(dim, 0))
    for k in reversed(range(x.shape[dim])):
        later = g.select(dim, k) + (later * x.select(dim, k + 1) if parts else 0)
        parts.append(later * y.select(dim, k - 1) if k else later)
    return {"self": torch.stack(parts[::-1], dim) if parts else g}


def logcumsumexp(call: Call, g: Tensor) -> Gradients:
    """Positive and negative gradients are summed apart, as logarithms, so that nothing overflows."""
    x, y, dim = call["self"], call.out, call["dim"]
    if x.is_complex():
        return {"self": ((g.log() - y).flip(dim).logcumsumexp(dim).flip(dim) + x).exp()}
    found = [(((sign * g).clamp(min=0).log() - y).flip(dim).logcumsumexp(dim).flip(dim) + x).exp() for sign in (1, -1)]
    return {"self": found[0] - found[1]}


def _reduction(text: str, latex: str, derivative: Sequence[str]) -> tuple[Formula, dict[str, Formula], dict[str, str]]:
    return value(text, latex), {"self": slope("xᵢ", derivative[0], derivative[1], "x_i")}, {"self": "x"}


SPREAD = ("2(xᵢ − x̄)/(n − c)", r"\frac{2 (x_i - \bar x)}{n - c}")
DEVIATION = ("(xᵢ − x̄)/((n − c)y)", r"\frac{x_i - \bar x}{(n - c) y}")
NORM = _reduction(
    "(Σᵢ |xᵢ|ᵖ)^(1/p)", r"\left(\sum_i |x_i|^p\right)^{1/p}",
    ("sign xᵢ (|xᵢ|/y)ᵖ⁻¹", r"\operatorname{sign} x_i \left(\frac{|x_i|}{y}\right)^{p-1}"),
)  # fmt: skip

REDUCE: dict[str, Rule] = {
    "sum": Rule(add_up, *_reduction("Σᵢ xᵢ", r"\sum_i x_i", ("1", "1"))),
    "nansum": Rule(nansum, *_reduction("Σᵢ xᵢ (xᵢ not NaN)", r"\sum_{i: x_i \ne \mathrm{NaN}} x_i", ("1", "1"))),
    "mean": Rule(mean, *_reduction("(1/n) Σᵢ xᵢ", r"\frac{1}{n} \sum_i x_i", ("1/n", r"\frac{1}{n}"))),
    "prod": Rule(prod, *_reduction("Πᵢ xᵢ", r"\prod_i x_i", ("Πⱼ xⱼ (j ≠ i)", r"\prod_{j \ne i} x_j"))),
    "var": Rule(var, *_reduction("Σᵢ (xᵢ − x̄)²/(n − c)", r"\frac{1}{n - c} \sum_i (x_i - \bar x)^2", SPREAD)),
    "var_mean": Rule(
        var_mean,
        *_reduction(
            "(Σᵢ (xᵢ − x̄)²/(n − c), x̄)",
            r"\left(\frac{\sum_i (x_i - \bar x)^2}{n - c}, \bar x\right)",
            (f"({SPREAD[0]}, 1/n)", rf"\left({SPREAD[1]}, \frac{{1}}{{n}}\right)"),
        ),
        wirtinger=True,
    ),
    "std": Rule(
        std, *_reduction("√(Σᵢ (xᵢ − x̄)²/(n − c))", r"\sqrt{\frac{1}{n - c} \sum_i (x_i - \bar x)^2}", DEVIATION)
    ),
    "std_mean": Rule(
        std_mean,
        *_reduction(
            "(√(Σᵢ (xᵢ − x̄)²/(n − c)), x̄)",
            r"\left(\sqrt{\frac{\sum_i (x_i - \bar x)^2}{n - c}}, \bar x\right)",
            (f"({DEVIATION[0]}, 1/n)", rf"\left({DEVIATION[1]}, \frac{{1}}{{n}}\right)"),
        ),
        wirtinger=True,
    ),
    "logsumexp": Rule(logsumexp, *_reduction("ln Σᵢ exp xᵢ", r"\ln \sum_i e^{x_i}", ("exp(xᵢ − y)", "e^{x_i - y}"))),
    "linalg_vector_norm": Rule(norm, *NORM),
    "norm": Rule(norm, *NORM),
    "cumsum": Rule(
        cumsum,
        Formula("yᵢ = Σⱼ xⱼ (j ≤ i)", r"y_i = \sum_{j \le i} x_j"),
        {"self": onward("xᵢ", "Σⱼ gⱼ (j ≥ i)", r"\sum_{j \ge i} g_j", "x_i")},
        {"self": "x"},
    ),
    "cumprod": Rule(
        cumprod,
        Formula("yᵢ = Πⱼ xⱼ (j ≤ i)", r"y_i = \prod_{j \le i} x_j"),
        {"self": onward("xᵢ", "Σⱼ gⱼyⱼ/xᵢ (j ≥ i)", r"\sum_{j \ge i} g_j \frac{y_j}{x_i}", "x_i")},
        {"self": "x"},
    ),
    "logcumsumexp": Rule(
        logcumsumexp,
        Formula("yᵢ = ln Σⱼ exp xⱼ (j ≤ i)", r"y_i = \ln \sum_{j \le i} e^{x_j}"),
        {"self": onward("xᵢ", "Σⱼ gⱼ exp(xᵢ − yⱼ) (j ≥ i)", r"\sum_{j \ge i} g_j e^{x_i - y_j}", "x_i")},
        {"self": "x"},
    ),
}
