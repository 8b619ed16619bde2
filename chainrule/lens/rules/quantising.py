"""Rules of quantisation in training: rounding is passed as though it were not there (a straight-through estimator).

The true derivative of a staircase is 0. Bengio, Léonard and Courville (2013) hand the gradient on all the same, where x
is within the range; differences of the loss say otherwise, on purpose. Where the scale is learned: Esser et al.,
"Learned step size quantization", 2020, and Jain et al., 2020.
"""

import torch
from torch import Tensor

from chainrule.lens.rules.notation import slope, value
from chainrule.lens.rules.rule import Call, Gradients, Rule


def straight_through(call: Call, g: Tensor, _: Tensor | None = None) -> Gradients:
    """Within the range 1, outside 0, as torch means it; not the derivative of a staircase."""
    return {"self": g * call.output(1)}


def learned(call: Call, g: Tensor) -> Gradients:
    """By the scale what rounding did, or the bound; by the zero point −s outside; both times `grad_factor`."""
    x, axis = call["self"], call.get("axis")
    shape = [1] * x.dim()
    if axis is not None:
        shape[axis] = -1
    s, z = call["scale"].reshape(shape), call["zero_point"].reshape(shape)
    low, high, factor = call["quant_min"], call["quant_max"], call["grad_factor"]
    # For one scale torch rounds by adding ½ and cutting off, which takes −1 to 0.
    zero = z.clamp(low, high).round() if axis is not None else (z + 0.5).clamp(low, high).trunc()
    level = (x / s + zero).round()
    below, above = level < low, level > high
    inside = ~(below | above)
    by_scale = torch.where(inside, level - zero - x / s, torch.where(below, low - zero, high - zero))
    found = {"self": g * inside, "scale": g * by_scale * factor, "zero_point": -g * s * ~inside * factor}
    axes = [i for i in range(x.dim()) if i != axis]
    return {
        name: one if name == "self" else (one.sum(axes) if axes else one).reshape(call[name].shape)
        for name, one in found.items()
    }


QUANTISED = value("s(min(max(round(x/s) + z, a), b) − z)", r"s (\min(\max(\operatorname{round}(x/s) + z, a), b) - z)")
RANGE = slope("x", "[a ≤ round(x/s) + z ≤ b], meant", r"[a \le \operatorname{round}(x/s) + z \le b], \text{ meant}")
FAKE = Rule(straight_through, QUANTISED, {"self": RANGE}, {"self": "x"})
LEARNED = Rule(
    learned,
    QUANTISED,
    {
        "self": RANGE,
        "scale": slope(
            "s",
            "round(x/s) − x/s inside, a − z or b − z outside",
            r"\operatorname{round}(x/s) - x/s \text{ inside}, a - z \text{ or } b - z \text{ outside}",
        ),
        "zero_point": slope("z", "0 inside, −s outside", r"0 \text{ inside}, -s \text{ outside}"),
    },
    {"self": "x", "scale": "s", "zero_point": "z"},
)

QUANTISING: dict[str, Rule] = {
    **dict.fromkeys(
        (
            "fake_quantize_per_tensor_affine_cachemask",
            "fake_quantize_per_channel_affine_cachemask",
            "_fake_quantize_per_tensor_affine_cachemask_tensor_qparams",
        ),
        FAKE,
    ),
    **dict.fromkeys(
        ("_fake_quantize_learnable_per_tensor_affine", "_fake_quantize_learnable_per_channel_affine"), LEARNED
    ),
}
