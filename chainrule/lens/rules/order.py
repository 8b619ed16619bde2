"""Rules of operations that pick elements by their size: largest, smallest, median, sorted."""

import torch
from torch import Tensor

from chainrule.lens.rules.notation import slope, value
from chainrule.lens.rules.reduce import axes_of, restore
from chainrule.lens.rules.rule import Call, Formula, Gradients, Pullback, Rule


def _equal_shares(call: Call, g: Tensor, y: Tensor) -> Tensor:
    """The gradient to the elements that equal y, in equal parts."""
    x, y = call["self"], restore(call, y)
    reached = (x == y) | (x.isnan() & y.isnan())
    n = reached.sum(axes_of(call), keepdim=True) if x.dim() else reached
    return restore(call, g) / n * reached


def _to_places(call: Call, g: Tensor, places: Tensor) -> Tensor:
    """The gradient to the elements at `places` along the axis, 0 elsewhere."""
    x, dim = call["self"], call.get("dim", -1)
    if not x.dim():
        return g.reshape(x.shape)
    if "keepdim" in call.node.arguments:
        g, places = restore(call, g), restore(call, places)
    return torch.zeros_like(x, dtype=g.dtype).scatter_add_(dim, places, g)


def extreme(call: Call, g: Tensor | None, _: Tensor | None = None) -> Gradients:
    """Over everything, or given axes: equal ones share. Along one axis with indices: the one that the index names."""
    assert g is not None
    if len(call.node.outputs) == 2:
        return {"self": _to_places(call, g, call.output(1))}
    return {"self": _equal_shares(call, g, call.out)}


def aminmax(call: Call, g_min: Tensor | None, g_max: Tensor | None) -> Gradients:
    """Smallest and largest at once; equal ones share."""
    parts = [_equal_shares(call, g, call.output(slot)) for slot, g in enumerate((g_min, g_max)) if g is not None]
    return {"self": parts[0] if len(parts) == 1 else parts[0] + parts[1]}


def placed(call: Call, g: Tensor, _: Tensor | None = None) -> Gradients:
    """The gradient goes back to where each element was taken from."""
    return {"self": _to_places(call, g, call.output(1))}


PICK = slope("xᵢ", "[i = i*]", "[i = i^*]", "x_i")
SHARE = slope("xᵢ", "[xᵢ = y]/#{j: xⱼ = y}", r"\frac{[x_i = y]}{\#\{j : x_j = y\}}", "x_i")


def _picked(pullback: Pullback, what: Formula, derivative: Formula = PICK) -> Rule:
    return Rule(pullback, what, {"self": derivative}, {"self": "x"})


MAX = slope("xᵢ", "[i = argmax x]", r"[i = \operatorname{argmax} x]", "x_i")
MIN = slope("xᵢ", "[i = argmin x]", r"[i = \operatorname{argmin} x]", "x_i")
RUNNING = Formula("∂yⱼ/∂xᵢ = [i = iⱼ]", r"\frac{\partial y_j}{\partial x_i} = [i = i_j]")

ORDER: dict[str, Rule] = {
    "max": _picked(extreme, value("maxᵢ xᵢ", r"\max_i x_i"), MAX),
    "min": _picked(extreme, value("minᵢ xᵢ", r"\min_i x_i"), MIN),
    "amax": _picked(extreme, value("maxᵢ xᵢ", r"\max_i x_i"), SHARE),
    "amin": _picked(extreme, value("minᵢ xᵢ", r"\min_i x_i"), SHARE),
    "aminmax": _picked(
        aminmax,
        value("(minᵢ xᵢ, maxᵢ xᵢ)", r"\left(\min_i x_i, \max_i x_i\right)"),
        slope(
            "xᵢ",
            "([i = argmin x], [i = argmax x])",
            r"\left([i = \operatorname{argmin} x], [i = \operatorname{argmax} x]\right)",
            "x_i",
        ),
    ),
    "median": _picked(extreme, value("median of x", r"\operatorname{median} x")),
    "nanmedian": _picked(extreme, value("median of x without NaN", r"\operatorname{median} x")),
    "mode": _picked(placed, value("most frequent xᵢ", r"\operatorname{mode} x")),
    "kthvalue": _picked(placed, value("k-th smallest xᵢ", "x_{(k)}")),
    "topk": _picked(placed, Formula("yⱼ = j-th largest xᵢ, j ≤ k", r"y_j = x_{i_j},\ j \le k"), RUNNING),
    "sort": _picked(placed, Formula("y₁ ≤ y₂ ≤ … of x", r"y_j = x_{i_j},\ y_1 \le y_2 \le \dots"), RUNNING),
    "cummax": _picked(placed, Formula("yⱼ = maxᵢ xᵢ (i ≤ j)", r"y_j = \max_{i \le j} x_i"), RUNNING),
    "cummin": _picked(placed, Formula("yⱼ = minᵢ xᵢ (i ≤ j)", r"y_j = \min_{i \le j} x_i"), RUNNING),
}
