"""Rules of losses. Each is averaged or summed as its `reduction` says; N is the number averaged over, 1 for a sum."""

import torch
from torch import Tensor

from chainrule.lens.rules.notation import onward, wide
from chainrule.lens.rules.rule import Call, Formula, Gradients, Rule, unbroadcast

MEAN = 1


def reduced(call: Call, g: Tensor) -> Tensor:
    """The gradient of each element's own loss; with reduction "mean" they share it equally."""
    return g / call["self"].numel() if call["reduction"] == MEAN else g


def negative_log_likelihood(call: Call, g: Tensor | None, _: Tensor | None) -> Gradients:
    """Only the target's entry counts. Targets equal to `ignore_index` get 0 and are not averaged over."""
    assert g is not None, "the second output, the total weight, does not depend on the input"
    x, target, weight = call["self"], call["target"], call["weight"]
    axis = 1 if x.dim() > 1 else 0
    ignored = target == call["ignore_index"]
    target = target.masked_fill(ignored, 0)
    scale = -g / call.output(1) if call["reduction"] == MEAN else -g
    share = scale.expand(target.shape) if weight is None else scale * weight[target]
    share = share.masked_fill(ignored, 0).to(x.dtype)
    return {"self": torch.zeros_like(x).scatter_(axis, target.unsqueeze(axis), share.unsqueeze(axis))}


def binary_cross_entropy(call: Call, g: Tensor) -> Gradients:
    """L = −t ln a − (1 − t) ln(1 − a). Like torch, keeps a(1 − a) above 1e-12 and logarithms above −100."""
    a, t, weight = call["self"], call["target"], call.get("weight")
    g = reduced(call, g)
    g = g if weight is None else g * weight
    found = {}
    if call.needs("self"):
        found["self"] = g * (a - t) / (a * (1 - a)).clamp_(min=1e-12)
    if call.needs("target"):
        found["target"] = g * ((-a).log1p().clamp_(min=-100) - a.log().clamp_(min=-100))
    return found


def binary_cross_entropy_with_logits(call: Call, g: Tensor) -> Gradients:
    """The sigmoid and its cross-entropy in one, so that nothing is lost where σ(x) is near 0 or 1."""
    x, t, weight, positive = wide(call["self"]), call["target"], call["weight"], call["pos_weight"]
    g = reduced(call, g)
    g = g if weight is None else g * weight
    found = {}
    if call.needs("self"):
        # Not σ(x) − t, of which nothing is left where both are near 1.
        local = (
            (1 - t) * torch.sigmoid(x) - t * torch.sigmoid(-x)
            if positive is None
            else (1 - t) - torch.sigmoid(-x) * (1 + (positive - 1) * t)
        )
        found["self"] = g * local
    if call.needs("target"):
        local = -x if positive is None else -x - (1 - positive) * torch.nn.functional.softplus(-x)
        found["target"] = g * local
    return found


def _both(call: Call, local: Tensor) -> Gradients:
    """For a loss of the difference x − t: the target's gradient is minus the input's."""
    found = {"self": local, "target": -local if call.needs("target") else None}
    return {
        name: unbroadcast(one, call[name].shape) for name, one in found.items() if one is not None and call.needs(name)
    }


def mse(call: Call, g: Tensor) -> Gradients:
    """The squared difference."""
    return _both(call, (call["self"] - call["target"]).mul_(2).mul_(reduced(call, g)))


def smooth_l1(call: Call, g: Tensor) -> Gradients:
    """Quadratic where |d| < β, of slope ±1 outside."""
    d, beta = call["self"] - call["target"], call["beta"]
    return _both(call, torch.where(d.abs() < beta, d / beta if beta else d, d.sign()) * reduced(call, g))


def huber(call: Call, g: Tensor) -> Gradients:
    """Quadratic where |d| ≤ δ, of slope ±δ outside."""
    d = call["self"] - call["target"]
    return _both(call, d.clamp(-call["delta"], call["delta"]) * reduced(call, g))


def soft_margin(call: Call, g: Tensor) -> Gradients:
    """ln(1 + e⁻ᵗˣ), for targets of −1 and 1."""
    x, t = call["self"], call["target"]
    s = torch.sigmoid(-t * x) * reduced(call, g)
    return {name: one for name, one in {"self": -t * s, "target": -x * s}.items() if call.needs(name)}


def _loss(text: str, latex: str) -> Formula:
    return Formula(f"L = {text}", f"L = {latex}")


NLL = Rule(
    negative_log_likelihood,
    _loss("−(1/N) Σ wₜ xₜ", r"-\frac{1}{N} \sum_n w_{t_n} x_{n t_n}, \quad N = \sum_n w_{t_n}"),
    {"self": onward("xᵢ", "−(wₜ/N)[i = t]", r"-\frac{w_t}{N} [i = t]", "x_i")},
    {"self": "x", "target": "t", "weight": "w"},
)
XT = {"self": "x", "target": "t"}

LOSSES: dict[str, Rule] = {
    "nll_loss_forward": NLL,
    "nll_loss2d_forward": NLL,
    "binary_cross_entropy": Rule(
        binary_cross_entropy,
        _loss("−t ln a − (1 − t) ln(1 − a)", r"-t \ln a - (1 - t) \ln(1 - a)"),
        {
            "self": onward("a", "(a − t)/(a(1 − a))", r"\frac{a - t}{a (1 - a)}"),
            "target": onward("t", "ln(1 − a) − ln a", r"\ln(1 - a) - \ln a"),
        },
        {"self": "a", "target": "t"},
    ),
    "binary_cross_entropy_with_logits": Rule(
        binary_cross_entropy_with_logits,
        _loss("(1 − t)x + (1 + (p − 1)t) ln(1 + e⁻ˣ)", r"(1 - t) x + (1 + (p - 1) t) \ln(1 + e^{-x})"),
        {
            "self": onward("x", "1 − t − (1 + (p − 1)t)σ(−x)", r"1 - t - (1 + (p - 1) t) \sigma(-x)"),
            "target": onward("t", "(p − 1) ln(1 + e⁻ˣ) − x", r"(p - 1) \ln(1 + e^{-x}) - x"),
        },
        {**XT, "pos_weight": "p"},
    ),
    "mse_loss": Rule(
        mse,
        _loss("(x − t)²", "(x - t)^2"),
        {"self": onward("x", "2(x − t)", "2 (x - t)"), "target": onward("t", "−2(x − t)", "-2 (x - t)")},
        XT,
    ),
    "smooth_l1_loss": Rule(
        smooth_l1,
        _loss(
            "[|x − t| < β](x − t)²/(2β) + [|x − t| ≥ β](|x − t| − β/2)",
            r"[|x - t| < \beta] \frac{(x - t)^2}{2 \beta} + [|x - t| \ge \beta] (|x - t| - \frac{\beta}{2})",
        ),
        {
            "self": onward("x", "min(max((x − t)/β, −1), 1)", r"\min(\max(\frac{x - t}{\beta}, -1), 1)"),
            "target": onward("t", "−min(max((x − t)/β, −1), 1)", r"-\min(\max(\frac{x - t}{\beta}, -1), 1)"),
        },
        {**XT, "beta": "β"},
    ),
    "huber_loss": Rule(
        huber,
        _loss(
            "[|x − t| ≤ δ](x − t)²/2 + [|x − t| > δ]δ(|x − t| − δ/2)",
            r"[|x - t| \le \delta] \frac{(x - t)^2}{2} + [|x - t| > \delta] \delta (|x - t| - \frac{\delta}{2})",
        ),
        {
            "self": onward("x", "min(max(x − t, −δ), δ)", r"\min(\max(x - t, -\delta), \delta)"),
            "target": onward("t", "−min(max(x − t, −δ), δ)", r"-\min(\max(x - t, -\delta), \delta)"),
        },
        {**XT, "delta": "δ"},
    ),
    "soft_margin_loss": Rule(
        soft_margin,
        _loss("ln(1 + exp(−tx))", r"\ln(1 + \exp(-t x))"),
        {
            "self": onward("x", "−tσ(−tx)", r"-t \sigma(-t x)"),
            "target": onward("t", "−xσ(−tx)", r"-x \sigma(-t x)"),
        },
        XT,
    ),
}
