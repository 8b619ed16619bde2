"""Rules of normalisation: over a layer, groups of channels, a batch, and by the root mean square.

All of them are y = w ⊙ x̂ + b with x̂ = (x − μ)/σ. The mean and the deviation move with x, which takes two parts out of
the gradient: its mean, and its part along x̂. They are computed in float32 at least.
"""

import math

import torch
from torch import Tensor

from chainrule.lens.rules.notation import onward, wide
from chainrule.lens.rules.rule import Call, Formula, Gradients, Pullback, Rule


def through_mean_and_deviation(
    g: Tensor, hat: Tensor, rstd: Tensor, axes: list[int], g_mean: Tensor | None = None, g_rstd: Tensor | None = None
) -> Tensor:
    """∂L/∂x = (g − mean g − x̂ mean(g⊙x̂))/σ for the gradient g by x̂, and what comes by way of μ and 1/σ themselves."""
    along = (g * hat).mean(axes, keepdim=True)
    centre = g.mean(axes, keepdim=True)
    n = hat.numel() / max(rstd.numel(), 1)
    if g_rstd is not None:
        along = along + g_rstd.reshape(rstd.shape) * rstd / n
    if g_mean is not None:
        centre = centre - g_mean.reshape(rstd.shape) / (rstd * n)
    return (g - centre).addcmul_(hat, along, value=-1).mul_(rstd)


def _affine(call: Call, g: Tensor | None, hat: Tensor, shape: list[int]) -> tuple[Tensor, dict[str, Tensor]]:
    """The gradient by x̂, and those of weight and bias, which lie along `shape` of x̂."""
    weight = call.get("weight")
    if g is None:
        return torch.zeros_like(hat), {}
    g = wide(g).reshape(hat.shape)
    axes = [axis for axis, n in enumerate(shape) if n == 1]
    found = {}
    if call.needs("weight"):
        found["weight"] = (g * hat).sum(axes).reshape(weight.shape) if axes else (g * hat).reshape(weight.shape)
    if call.needs("bias"):
        found["bias"] = (g.sum(axes) if axes else g).reshape(call["bias"].shape)
    return g if weight is None else g * wide(weight).reshape(shape), found


def layer_norm(call: Call, g: Tensor | None, g_mean: Tensor | None, g_rstd: Tensor | None) -> Gradients:
    """Over the last axes."""
    x, mean, rstd = wide(call["input"]), wide(call.output(1)), wide(call.output(2))
    n_axes = len(call["normalized_shape"])
    shape = [1] * (x.dim() - n_axes) + list(x.shape[x.dim() - n_axes :])
    axes = list(range(x.dim() - n_axes, x.dim()))
    if x.dim() > n_axes:  # flat rows: fewer, longer loops
        width = math.prod(x.shape[x.dim() - n_axes :])
        x, mean, rstd, shape, axes = x.reshape(-1, width), mean.reshape(-1, 1), rstd.reshape(-1, 1), [1, width], [1]
    hat = (x - mean).mul_(rstd)
    g_hat, found = _affine(call, g, hat, shape)
    if call.needs("input"):
        whole = through_mean_and_deviation(g_hat, hat, rstd, axes, g_mean, g_rstd)
        found["input"] = whole.reshape(call["input"].shape)
    return found


def rms_norm(call: Call, g: Tensor | None, g_rstd: Tensor | None) -> Gradients:
    """Without a mean: only the part along x̂ is taken out."""
    x, rstd, n_axes = wide(call["input"]), wide(call.output(1)), len(call["normalized_shape"])
    axes = list(range(x.dim() - n_axes, x.dim()))
    hat = x * rstd
    g_hat, found = _affine(call, g, hat, [1] * (x.dim() - n_axes) + list(x.shape[x.dim() - n_axes :]))
    if call.needs("input"):
        along = (g_hat * hat).mean(axes, keepdim=True)
        if g_rstd is not None:
            along = along + g_rstd * rstd * (rstd.numel() / hat.numel())
        found["input"] = (g_hat - hat * along) * rstd
    return found


def group_norm(call: Call, g: Tensor | None, g_mean: Tensor | None, g_rstd: Tensor | None) -> Gradients:
    """Over the channels of each group and all places."""
    x, groups = wide(call["input"]), call["group"]
    n, channels, places = call["N"], call["C"], call["HxW"]
    rows = (n, groups, channels // groups, places)
    mean, rstd = (wide(call.output(slot)).reshape(n, groups, 1, 1) for slot in (1, 2))
    hat = (x.reshape(rows) - mean).mul_(rstd)
    g_hat, found = _affine(call, g, hat, [1, groups, channels // groups, 1])
    if call.needs("input"):
        found["input"] = through_mean_and_deviation(g_hat, hat, rstd, [2, 3], g_mean, g_rstd).reshape(x.shape)
    return found


def batch_norm(call: Call, g: Tensor | None, *g_statistics: Tensor | None) -> Gradients:
    """Over the batch and all places in training; in evaluation μ and σ are stored, and ∂L/∂x = g⊙w/σ."""
    x = wide(call["input"])
    shape = [1, -1] + [1] * (x.dim() - 2)
    training = _in_training(call)
    if training:
        mean, rstd = wide(call.output(1)), wide(call.output(2))
    else:
        mean = wide(call["running_mean"])
        rstd = (wide(call["running_var"]) + call.get("eps", call.get("epsilon"))).rsqrt()
    hat = (x - mean.reshape(shape)) * rstd.reshape(shape)
    g_hat, found = _affine(call, g, hat, [1, x.shape[1]] + [1] * (x.dim() - 2))
    if call.needs("input"):
        axes = [axis for axis in range(x.dim()) if axis != 1]
        statistics = g_statistics[:2] if training else ()
        found["input"] = (
            through_mean_and_deviation(g_hat, hat, rstd.reshape(shape), axes, *statistics)
            if training
            else g_hat * rstd.reshape(shape)
        )
    return found


def _in_training(call: Call) -> bool:
    return bool(call.get("training", call.node.rule_name == "_batch_norm_with_update"))


def weight_norm(call: Call, g: Tensor, g_norm: Tensor | None) -> Gradients:
    """W = s V/‖V‖ along one axis: direction and length apart."""
    v, scale, norm, dim = call["v"], call["g"], call.output(1), call["dim"]
    axes = [axis for axis in range(v.dim()) if axis != dim % v.dim()]
    unit = v / norm.reshape(scale.shape)
    along = (g * unit).sum(axes, keepdim=True)
    by_v = (g - unit * along) * (scale / norm.reshape(scale.shape))
    return {"v": by_v if g_norm is None else by_v + unit * g_norm.reshape(scale.shape), "g": along}


HAT = (
    "(g⊙w − mean(g⊙w) − x̂ mean(g⊙w⊙x̂))/σ",
    r"\frac{1}{\sigma}\left(g \odot w - \overline{g \odot w} - \hat x \, \overline{g \odot w \odot \hat x}\right)",
)
NAMES = {"input": "x", "weight": "w", "bias": "b"}


def _norm(pullback: Pullback, what: Formula) -> Rule:
    formulas = {
        "input": onward("x", *HAT),
        "weight": onward("w", "Σ g⊙x̂", r"\sum g \odot \hat x"),
        "bias": onward("b", "Σ g", r"\sum g"),
    }
    return Rule(pullback, what, formulas, NAMES)


AFFINE = Formula("y = w⊙x̂ + b, x̂ = (x − μ)/σ", r"y = w \odot \hat x + b, \quad \hat x = \frac{x - \mu}{\sigma}")
STILL = {
    "input": onward("x", "g⊙w/σ", r"\frac{g \odot w}{\sigma}"),
    "weight": onward("w", "Σ g⊙x̂", r"\sum g \odot \hat x"),
    "bias": onward("b", "Σ g", r"\sum g"),
}
BATCH = _norm(batch_norm, AFFINE)
EVALUATION = Rule(batch_norm, AFFINE, STILL, NAMES)

NORM: dict[str, Rule] = {
    "native_layer_norm": _norm(layer_norm, AFFINE),
    "native_group_norm": _norm(group_norm, AFFINE),
    "native_batch_norm": BATCH,
    "_native_batch_norm_legit": BATCH,
    "_native_batch_norm_legit_no_training": EVALUATION,
    "_batch_norm_with_update": _norm(batch_norm, AFFINE),
    "_batch_norm_no_update": EVALUATION,
    "cudnn_batch_norm": BATCH,
    "_fused_rms_norm": Rule(
        rms_norm,
        Formula(
            "y = w⊙x̂, x̂ = x/r, r = √(mean(x²) + ε)",
            r"y = w \odot \hat x, \quad \hat x = \frac{x}{r}, \quad r = \sqrt{\overline{x^2} + \varepsilon}",
        ),
        {
            "input": onward(
                "x",
                "(g⊙w − x̂ mean(g⊙w⊙x̂))/r",
                r"\frac{1}{r}\left(g \odot w - \hat x \, \overline{g \odot w \odot \hat x}\right)",
            ),
            "weight": onward("w", "Σ g⊙x̂", r"\sum g \odot \hat x"),
        },
        NAMES,
    ),
    "_weight_norm_interface": Rule(
        weight_norm,
        Formula("W = sV/‖V‖", r"W = s \frac{V}{\lVert V \rVert}"),
        {
            "v": onward(
                "V",
                "s(G − U Σ G⊙U)/‖V‖, U = V/‖V‖",
                r"\frac{s}{\lVert V \rVert}\left(G - U \sum G \odot U\right), \quad U = \frac{V}{\lVert V \rVert}",
            ),
            "g": onward("s", "Σ G⊙U", r"\sum G \odot U"),
        },
        {"v": "V", "g": "s"},
    ),
}
