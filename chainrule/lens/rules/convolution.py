"""The rule of convolution, with forward convolutions only.

The input's gradient is the transposed convolution of G with the same weights. The weight's gradient is a convolution of
the input with G as its kernel: batch and channels change places, and so do stride and dilation.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from chainrule.lens.rules.notation import onward
from chainrule.lens.rules.rule import Call, Formula, Gradients, Rule


@dataclass(frozen=True)
class Steps:
    """How the kernel goes over its input: a number for each axis, and into how many groups channels are cut."""

    stride: list[int]
    padding: list[int]
    dilation: list[int]
    groups: int

    def over(self, x: Tensor, kernel: Tensor, *, transposed: bool = False, rest: Sequence[int] = ()) -> Tensor:
        """The kernel over `x`; with `transposed` the other way, and `rest` more places at the end of each axis."""
        more = list(rest) or [0] * len(self.stride)
        way = (self.stride, self.padding, self.dilation)
        return torch.convolution(x, kernel, None, *way, transposed, more, self.groups)


def convolution(call: Call, g: Tensor) -> Gradients:
    """Any number of axes, stride, padding, dilation, groups, and the transposed convolution."""
    x, w, transposed = call["input"], call["weight"], call["transposed"]
    n_axes = w.dim() - 2
    stride, padding, dilation = (_each(call[name], n_axes) for name in ("stride", "padding", "dilation"))
    steps = Steps(stride, padding, dilation, call["groups"])
    found = {}
    if call.needs("input") and transposed:
        # More places than the input has, where the output was made longer by a whole step or more.
        found["input"] = _cropped(steps.over(g, w), x.shape[2:])
    elif call.needs("input"):
        found["input"] = _by_input(g, w, x.shape[2:], steps)
    if call.needs("weight"):
        signal, kernel = (g, x) if transposed else (x, g)
        found["weight"] = _by_weight(signal, kernel, w, steps)
    if call.needs("bias"):
        found["bias"] = g.sum([0, *range(2, g.dim())])
    return found


def _cropped(whole: Tensor, shape: Sequence[int]) -> Tensor:
    for axis, n in enumerate(shape, 2):
        whole = whole.narrow(axis, 0, n)
    return whole


def _each(numbers: Sequence[int], n_axes: int) -> list[int]:
    return list(numbers) * n_axes if len(numbers) == 1 else list(numbers)


def _by_input(g: Tensor, w: Tensor, shape: Sequence[int], steps: Steps) -> Tensor:
    """The transposed convolution, and with it the last places, which no full step reached."""
    reached = [
        (places - 1) * stride - 2 * padding + dilation * (size - 1) + 1
        for places, size, stride, padding, dilation in zip(
            g.shape[2:], w.shape[2:], steps.stride, steps.padding, steps.dilation, strict=True
        )
    ]
    rest = [n - there for n, there in zip(shape, reached, strict=True)]
    return steps.over(g, w, transposed=True, rest=rest)


def _by_weight(signal: Tensor, kernel: Tensor, w: Tensor, steps: Steps) -> Tensor:
    """Σ over batch and places of signal × kernel: the examples of the batch are the channels that are summed over."""
    n, groups = signal.shape[0], steps.groups
    # [N, groups·C, …] → [C, groups·N, …]: within a group, examples become channels.
    signal = (
        signal.reshape(n, groups, -1, *signal.shape[2:]).permute(2, 1, 0, *range(3, signal.dim() + 1)).flatten(1, 2)
    )
    exchanged = Steps(steps.dilation, steps.padding, steps.stride, groups)
    swapped = exchanged.over(signal, kernel.transpose(0, 1))
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
