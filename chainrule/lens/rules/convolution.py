"""The rule of convolution, with forward convolutions only.

The input's gradient is the transposed convolution of G with the same weights. The weight's gradient is a convolution of
the input with G as its kernel: batch and channels change places, and so do stride and dilation.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from chainrule.lens.rules.notation import onward
from chainrule.lens.rules.rule import Call, Formula, Gradients, Rule


def convolution(call: Call, g: Tensor) -> Gradients:
    """Any number of axes, stride, padding, dilation, groups, and the transposed convolution."""
    x, w = call["input"], call["weight"]
    n_axes = w.dim() - 2
    stride, padding, dilation = (_each(call[name], n_axes) for name in ("stride", "padding", "dilation"))
    groups, transposed = call["groups"], call["transposed"]
    found = {}
    if call.needs("input") and transposed:
        found["input"] = torch.convolution(g, w, None, stride, padding, dilation, False, [0] * n_axes, groups)
    elif call.needs("input"):
        found["input"] = _by_input(g, w, x.shape[2:], stride, padding, dilation, groups)
    if call.needs("weight"):
        signal, kernel = (g, x) if transposed else (x, g)
        found["weight"] = _by_weight(signal, kernel, w, stride, padding, dilation, groups)
    if call.needs("bias"):
        found["bias"] = g.sum([0, *range(2, g.dim())])
    return found


def _each(numbers: Sequence[int], n_axes: int) -> list[int]:
    return list(numbers) * n_axes if len(numbers) == 1 else list(numbers)


def _by_input(
    g: Tensor, w: Tensor, shape: Sequence[int], stride: list[int], padding: list[int], dilation: list[int], groups: int
) -> Tensor:
    """The transposed convolution; `rest` are the last places, which no full step reached."""
    rest = [
        n - ((g.shape[2 + i] - 1) * stride[i] - 2 * padding[i] + dilation[i] * (w.shape[2 + i] - 1) + 1)
        for i, n in enumerate(shape)
    ]
    return torch.convolution(g, w, None, stride, padding, dilation, True, rest, groups)


def _by_weight(
    signal: Tensor, kernel: Tensor, w: Tensor, stride: list[int], padding: list[int], dilation: list[int], groups: int
) -> Tensor:
    """Σ over batch and places of signal × kernel: the examples of the batch are the channels that are summed over."""
    n = signal.shape[0]
    # [N, groups·C, …] → [C, groups·N, …]: within a group, examples become channels.
    signal = (
        signal.reshape(n, groups, -1, *signal.shape[2:]).permute(2, 1, 0, *range(3, signal.dim() + 1)).flatten(1, 2)
    )
    swapped = torch.convolution(
        signal, kernel.transpose(0, 1), None, dilation, padding, stride, False, [0] * len(stride), groups
    )
    for axis, size in enumerate(w.shape[2:], 2):
        swapped = swapped.narrow(axis, 0, size)
    return swapped.transpose(0, 1)


def columns(call: Call, g: Tensor) -> Gradients:
    """Windows laid out as columns (unfold): windows that overlap add up."""
    places = [call[name] for name in ("kernel_size", "dilation", "padding", "stride")]
    return {"self": torch.ops.aten.col2im(g, list(call["self"].shape[-2:]), *places)}


def from_columns(call: Call, g: Tensor) -> Gradients:
    """Columns added up where their windows overlap (fold): each window reads its own place."""
    return {
        "self": torch.ops.aten.im2col(g, *(call[name] for name in ("kernel_size", "dilation", "padding", "stride")))
    }


CONVOLUTION: dict[str, Rule] = {
    "convolution": Rule(
        convolution,
        Formula("Y = X ⋆ W + b", r"Y = X \star W + b"),
        {
            "input": onward("X", "G ⋆ᵀ W (transposed)", r"G \star^\top W"),
            "weight": onward(
                "W", "X ⋆ G (batch and channels exchanged)", r"X \star G \text{ (batch and channels exchanged)}"
            ),
            "bias": onward("b", "Σ G over batch and places", r"\sum_{n, p} G_{n \cdot p}"),
        },
        {"input": "X", "weight": "W", "bias": "b"},
    ),
    "im2col": Rule(
        columns,
        Formula("Y = windows of X as columns", r"Y = \operatorname{unfold} X"),
        {"self": onward("X", "fold G", r"\operatorname{fold} G")},
        {"self": "X"},
    ),
    "col2im": Rule(
        from_columns,
        Formula("Y = sum of the columns of X at their windows", r"Y = \operatorname{fold} X"),
        {"self": onward("X", "unfold G", r"\operatorname{unfold} G")},
        {"self": "X"},
    ),
}
