"""Rules of operations that cut tensors apart, put them together, or blank a part of them."""

import torch
from torch import Tensor

from chainrule.lens.rules.notation import onward
from chainrule.lens.rules.rule import Call, Formula, Gradients, Rule
from chainrule.lens.rules.shape import X


def slice_(call: Call, g: Tensor) -> Gradients:
    """`y` = x[start:end:step]: the rest of x receives nothing."""
    whole = g.new_zeros(call["self"].shape)
    torch.ops.aten.slice(whole, call["dim"], call["start"], call["end"], call["step"]).copy_(g)
    return {"self": whole}


def select(call: Call, g: Tensor) -> Gradients:
    """`y` = x[i] along one axis: the rest of x receives nothing."""
    whole = g.new_zeros(call["self"].shape)
    whole.select(call["dim"], call["index"]).copy_(g)
    return {"self": whole}


def narrow_copy(call: Call, g: Tensor) -> Gradients:
    """`y` = a copy of x[start : start + length] along one axis."""
    whole = g.new_zeros(call["self"].shape)
    whole.narrow(call["dim"], call["start"], call["length"]).copy_(g)
    return {"self": whole}


def diagonal(call: Call, g: Tensor) -> Gradients:
    """`y` is a diagonal of x: what lies off it receives nothing."""
    whole = g.new_zeros(call["self"].shape)
    whole.diagonal(call["offset"], call["dim1"], call["dim2"]).copy_(g)
    return {"self": whole}


def diag_embed(call: Call, g: Tensor) -> Gradients:
    """`y` has x on a diagonal and zeros elsewhere."""
    return {"self": g.diagonal(call["offset"], call["dim1"], call["dim2"])}


def split(call: Call, *gradients: Tensor | None) -> Gradients:
    """`y₀`, y₁, … are x's pieces; a piece that was not used receives nothing."""
    pieces = [call.output(i) for i in range(len(gradients))]
    parts = [torch.zeros_like(y) if g is None else g for y, g in zip(pieces, gradients, strict=True)]
    return {"self": torch.cat(parts, call["dim"])}


def unbind(call: Call, *gradients: Tensor | None) -> Gradients:
    """`y₀`, y₁, … are x[0], x[1], … along one axis."""
    rows = [call.output(i) for i in range(len(gradients))]
    parts = [torch.zeros_like(y) if g is None else g for y, g in zip(rows, gradients, strict=True)]
    return {"self": torch.stack(parts, call["dim"])}


def cat(call: Call, g: Tensor) -> Gradients:
    """`y` has the tensors one after the other; each receives its own piece."""
    tensors, dim = call["tensors"], call["dim"]
    # Tensors of shape [0] may stand in the list whatever the others' shape, and are passed over.
    absent = [x.dim() == 1 and x.shape[0] == 0 and g.dim() != 1 for x in tensors]
    sizes = [0 if gone else x.shape[dim] for x, gone in zip(tensors, absent, strict=True)]
    pieces = g.split_with_sizes(sizes, dim)
    return {
        "tensors": [g.new_zeros(0) if gone else piece for piece, gone in zip(pieces, absent, strict=True)],
    }


def stack(call: Call, g: Tensor) -> Gradients:
    """`y` has the tensors side by side along a new axis."""
    return {"tensors": list(g.unbind(call["dim"]))}


def constant_pad_nd(call: Call, g: Tensor) -> Gradients:
    """`y` surrounds x with a constant; the border's gradient is dropped."""
    return {"self": torch.constant_pad_nd(g, [-n for n in call["pad"]])}


def mirrored_pad(call: Call, g: Tensor) -> Gradients:
    """`y` surrounds x with x's own numbers; each receives from every place where it stands.

    Which number stands where is found by padding the positions themselves.
    """
    x, padding = call["self"], call["padding"]
    n_axes = len(padding) // 2
    spatial = x.shape[x.dim() - n_axes :]
    positions = torch.arange(spatial.numel(), dtype=torch.float64, device=g.device).reshape(1, *spatial)
    source = call.node.func(positions, padding).flatten().long()
    flat = g.reshape(-1, source.numel())
    return {"self": flat.new_zeros(len(flat), spatial.numel()).index_add_(1, source, flat).reshape(x.shape)}


def tril(call: Call, g: Tensor) -> Gradients:
    """`y` keeps the lower triangle of x, and so does the gradient."""
    return {"self": g.tril(call["diagonal"])}


def triu(call: Call, g: Tensor) -> Gradients:
    """`y` keeps the upper triangle of x, and so does the gradient."""
    return {"self": g.triu(call["diagonal"])}


def trace(call: Call, g: Tensor) -> Gradients:
    """`y` = Σ xᵢᵢ."""
    return {"self": g * torch.eye(*call["self"].shape, dtype=g.dtype, device=g.device)}


SPLIT = Rule(
    split,
    Formula("x = (y₀, y₁, …)", r"x = (y_0, y_1, \ldots)"),
    {"self": onward("x", "(g₀, g₁, …)", r"(g_0, g_1, \ldots)")},
    X,
)
MIRROR = Rule(
    mirrored_pad,
    Formula("yᵢ = x at the place that i mirrors", r"y_i = x_{m(i)}"),
    {"self": onward("x", "Σ gᵢ, over the places that show it", r"\sum_{i:\, m(i)=k} g_i")},
    X,
)

PIECE: dict[str, Rule] = {
    "slice": Rule(
        slice_,
        Formula("y = x[start:end:step]", r"y = x_{a:b:s}"),
        {"self": onward("x", "g there, 0 elsewhere", r"g \text{ there, } 0 \text{ elsewhere}")},
        X,
    ),
    "select": Rule(
        select,
        Formula("y = x[i]", r"y = x_i"),
        {"self": onward("x", "g at i, 0 elsewhere", r"g \text{ at } i, 0 \text{ elsewhere}")},
        X,
    ),
    "narrow_copy": Rule(
        narrow_copy,
        Formula("y = x[start:start + n]", "y = x_{a:a+n}"),
        {"self": onward("x", "g there, 0 elsewhere", r"g \text{ there, } 0 \text{ elsewhere}")},
        X,
    ),
    "diagonal": Rule(
        diagonal,
        Formula("yᵢ = xᵢᵢ", r"y_i = x_{ii}"),
        {"self": onward("x", "diag(g)", r"\operatorname{diag}(g)")},
        X,
    ),
    "diag_embed": Rule(
        diag_embed,
        Formula("y = diag(x)", r"y = \operatorname{diag}(x)"),
        {"self": onward("x", "gᵢᵢ", "g_{ii}")},
        X,
    ),
    **dict.fromkeys(("split", "split_with_sizes", "unsafe_split", "unsafe_split_with_sizes"), SPLIT),
    "unbind": Rule(
        unbind,
        Formula("yᵢ = x[i]", "y_i = x_i"),
        {"self": onward("x", "(g₀, g₁, …)", r"(g_0, g_1, \ldots)")},
        X,
    ),
    "cat": Rule(
        cat,
        Formula("y = (x₀, x₁, …)", r"y = (x_0, x_1, \ldots)"),
        {"tensors": onward("xᵢ", "its piece of g", r"g_{\text{piece } i}", "x_i")},
        {"tensors": "x"},
    ),
    "stack": Rule(
        stack,
        Formula("y = (x₀, x₁, …), side by side", r"y = (x_0, x_1, \ldots)"),
        {"tensors": onward("xᵢ", "g[i]", "g_i", "x_i")},
        {"tensors": "x"},
    ),
    "constant_pad_nd": Rule(
        constant_pad_nd,
        Formula("y = x with a border", r"y = \operatorname{pad}(x)"),
        {"self": onward("x", "g without the border", r"\operatorname{crop}(g)")},
        X,
    ),
    **dict.fromkeys([f"{how}_pad{n}d" for how in ("reflection", "replication") for n in (1, 2, 3)], MIRROR),
    "tril": Rule(
        tril,
        Formula("y = lower triangle of x", r"y = \operatorname{tril}(x)"),
        {"self": onward("x", "lower triangle of g", r"\operatorname{tril}(g)")},
        X,
    ),
    "triu": Rule(
        triu,
        Formula("y = upper triangle of x", r"y = \operatorname{triu}(x)"),
        {"self": onward("x", "upper triangle of g", r"\operatorname{triu}(g)")},
        X,
    ),
    "trace": Rule(trace, Formula("y = Σᵢ xᵢᵢ", r"y = \sum_i x_{ii}"), {"self": onward("x", "g·I", "g I")}, X),
}
