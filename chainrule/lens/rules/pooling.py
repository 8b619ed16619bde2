"""Rules of pooling and of resizing.

Average pooling and resizing are linear along each axis: Y = A X Bᵀ with one small matrix for each axis, and the
gradient is Aᵀ G B. Max pooling hands the gradient to the places that won.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from chainrule.lens.rules.notation import onward, slope, value
from chainrule.lens.rules.rule import Call, Formula, Gradients, Pullback, Rule


def _back(g: Tensor, matrices: Sequence[Tensor]) -> Tensor:
    """Multiplies the last axes of `g`, each by the transpose of its matrix [out, in]."""
    for i, matrix in enumerate(reversed(matrices), 1):
        g = (g.movedim(-i, -1) @ matrix).movedim(-1, -i)
    return g


def max_pool(call: Call, g: Tensor, _: Tensor | None = None) -> Gradients:
    """Of equal ones the index that was recorded takes all; windows that overlap add up."""
    x, places = call["self"], call.output(1)
    n_axes = _n_axes(call)
    flat = torch.zeros_like(x, dtype=g.dtype).flatten(-n_axes)
    return {"self": flat.scatter_add_(-1, places.flatten(-n_axes), g.flatten(-n_axes)).reshape(x.shape)}


def max_unpool(call: Call, g: Tensor) -> Gradients:
    """Each number is put at the place that its index names, with zeros around; two at one place both read it."""
    n_axes = _n_axes(call)
    return {"self": g.flatten(-n_axes).gather(-1, call["indices"].flatten(-n_axes)).reshape(call["self"].shape)}


def average_pool(call: Call, g: Tensor) -> Gradients:
    """Each window's gradient in equal parts; `count_include_pad` and `divisor_override` say how many parts."""
    x, n_axes = call["self"], _n_axes(call)
    kernel, stride, padding = (_each(call[name], n_axes) for name in ("kernel_size", "stride", "padding"))
    divisor = call.get("divisor_override")
    matrices = [
        _windows(g.shape[i - n_axes], x.shape[i - n_axes], kernel[i], (stride or kernel)[i], padding[i], g)
        for i in range(n_axes)
    ]
    if divisor is None:
        matrices = [
            matrix
            / _n_parts(matrix, kernel[i], (stride or kernel)[i], padding[i], with_padding=call["count_include_pad"])
            for i, matrix in enumerate(matrices)
        ]
    return {"self": _back(g if divisor is None else g / divisor, matrices)}


def _n_axes(call: Call) -> int:
    return int(call.node.rule_name.split("pool")[1][0])


def _each(numbers: Sequence[int] | int, n_axes: int) -> list[int]:
    given = [numbers] if isinstance(numbers, int) else list(numbers)
    return given * n_axes if len(given) == 1 else given


def _windows(n_out: int, n_in: int, kernel: int, stride: int, padding: int, like: Tensor) -> Tensor:
    """[out, in]: 1 where the window of an output covers an input."""
    start = torch.arange(n_out, device=like.device)[:, None] * stride - padding
    place = torch.arange(n_in, device=like.device)
    return ((place >= start) & (place < start + kernel)).to(like.dtype)


def _n_parts(matrix: Tensor, kernel: int, stride: int, padding: int, *, with_padding: bool) -> Tensor:
    """How many places each window has: those inside, or with the padding (and not beyond it)."""
    if not with_padding:
        return matrix.sum(1, keepdim=True)
    start = torch.arange(matrix.shape[0], device=matrix.device)[:, None] * stride - padding
    return ((start + kernel).clamp(max=matrix.shape[1] + padding) - start).to(matrix.dtype)


def adaptive_average_pool(call: Call, g: Tensor) -> Gradients:
    """Window o of O covers the inputs from ⌊oN/O⌋ to ⌈(o + 1)N/O⌉."""
    x, sizes = call["self"], call["output_size"]
    matrices = []
    for i, n_out in enumerate(sizes):
        n_in = x.shape[i - len(sizes)]
        o, place = torch.arange(n_out, device=g.device)[:, None], torch.arange(n_in, device=g.device)
        covered = (place >= o * n_in // n_out) & (place < -(-(o + 1) * n_in // n_out))
        matrices.append(covered.to(g.dtype) / covered.sum(1, keepdim=True))
    return {"self": _back(g, matrices)}


def resize(call: Call, g: Tensor) -> Gradients:
    """The matrix of an axis is what the operation makes of the identity along that axis."""
    x = call["self"]
    n_axes = x.dim() - 2
    names = [name for name in call.node.arguments if name.startswith("scales")]
    rest = {name: call[name] for name in ("align_corners",) if name in call.node.arguments}
    matrices = []
    for i in range(n_axes):
        n_in, n_out = x.shape[2 + i], g.shape[2 + i]
        identity = torch.eye(n_in, dtype=g.dtype, device=g.device)
        # The other axes have two equal places that stay: some kernels mistake the layout of axes of length 1.
        for axis in range(n_axes):
            identity = identity if axis == i else identity.unsqueeze(1 + axis).repeat_interleave(2, 1 + axis)
        size = [n_out if axis == i else 2 for axis in range(n_axes)]
        scales = {name: call[name] if k == i else None for k, name in enumerate(names)}
        made = call.node.func(identity.unsqueeze(1), size, **rest, **scales)
        matrices.append(made.movedim(2 + i, -1).flatten(1, -2)[:, 0].mT)
    return {"self": _back(g, matrices)}


def _pool(pullback: Pullback, what: Formula, derivative: Formula) -> Rule:
    return Rule(pullback, what, {"self": derivative}, {"self": "x"})


MAX = (
    max_pool,
    value("max of x in each window", r"\max_{p \in \text{window}} x_p"),
    slope("xᵢ", "[i = argmax of the window]", r"[i = \operatorname{argmax}_{p \in \text{window}} x_p]", "x_i"),
)
UNPOOL = (
    Formula("y[i] = x, 0 elsewhere", r"y_{i_p} = x_p, \; 0 \text{ elsewhere}"),
    onward("x", "g[i]", "g_{i_p}"),
)
AVERAGE = (
    value("mean of x in each window", r"\frac{1}{n} \sum_{p \in \text{window}} x_p"),
    slope("xᵢ", "1/n, i in the window", r"\frac{1}{n} [i \in \text{window}]", "x_i"),
)
RESIZE = (
    resize,
    Formula("Y = A X Bᵀ", r"Y = A X B^\top"),
    onward("X", "Aᵀ G B", r"A^\top G B"),
)
RESIZED = (
    "upsample_nearest1d", "upsample_nearest2d", "upsample_nearest3d", "_upsample_nearest_exact1d",
    "_upsample_nearest_exact2d", "_upsample_nearest_exact3d", "upsample_linear1d", "upsample_bilinear2d",
    "upsample_trilinear3d", "upsample_bicubic2d", "_upsample_bilinear2d_aa", "_upsample_bicubic2d_aa",
    "_upsample_lanczos2d_aa",
)  # fmt: skip

POOLING: dict[str, Rule] = {
    **{name: _pool(*MAX) for name in ("max_pool2d_with_indices", "max_pool3d_with_indices")},
    **{name: _pool(*MAX) for name in ("adaptive_max_pool2d", "adaptive_max_pool3d")},
    **{name: _pool(*MAX) for name in ("fractional_max_pool2d", "fractional_max_pool3d")},
    **{name: _pool(max_unpool, *UNPOOL) for name in ("max_unpool2d", "max_unpool3d")},
    **{name: _pool(average_pool, *AVERAGE) for name in ("avg_pool2d", "avg_pool3d")},
    **{name: _pool(adaptive_average_pool, *AVERAGE) for name in ("_adaptive_avg_pool2d", "_adaptive_avg_pool3d")},
    **{name: _pool(*RESIZE) for name in RESIZED},
}
