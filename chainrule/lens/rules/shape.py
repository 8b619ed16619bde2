"""Rules of operations that give the same numbers another form: other axes, another shape, type or place."""

import torch
from torch import Tensor

from chainrule.lens.rules.notation import onward
from chainrule.lens.rules.rule import Call, Formula, Gradients, Rule, unbroadcast
from chainrule.lens.tape import places


def same_numbers(call: Call, g: Tensor) -> Gradients:
    """`y` has x's numbers in x's order; so has the gradient."""
    return {"self": g.reshape(call["self"].shape)}


def converted(call: Call, g: Tensor) -> Gradients:
    """`y` is x in another type or on another device; the gradient goes back to x's."""
    name = "a" if "a" in call.node.arguments else "self"
    x = call[name]
    g = g.real if g.is_complex() and not x.is_complex() else g
    return {name: g.to(device=x.device, dtype=x.dtype)}


def transposed(call: Call, g: Tensor) -> Gradients:
    """`y` = xᵀ: two axes change places, and back."""
    if "dim0" in call.node.arguments:
        return {"self": g.transpose(call["dim0"], call["dim1"])}
    return {"self": g.t()}


def permute(call: Call, g: Tensor) -> Gradients:
    """`y` has x's axes in another order; the gradient has them in the inverse order."""
    dims = [dim % g.dim() for dim in call["dims"]]
    return {"self": g.permute(sorted(range(len(dims)), key=dims.__getitem__))}


def expand(call: Call, g: Tensor) -> Gradients:
    """`y` repeats x along an axis without copying it; the gradients of the repetitions add up."""
    return {"self": unbroadcast(g, call["self"].shape)}


def repeat(call: Call, g: Tensor) -> Gradients:
    """`y` tiles x; the gradients of the tiles add up."""
    x, repeats = call["self"], call["repeats"]
    sizes = [1] * (len(repeats) - x.dim()) + list(x.shape)
    tiled = [n for pair in zip(repeats, sizes, strict=True) for n in pair]
    copies = range(0, len(tiled), 2)
    return {"self": (g.reshape(tiled).sum(tuple(copies)) if tiled else g).reshape(x.shape)}


def flip(call: Call, g: Tensor) -> Gradients:
    """`y` reads x from the end; so is the gradient."""
    return {"self": g.flip(call["dims"])}


def roll(call: Call, g: Tensor) -> Gradients:
    """`y` shifts x in a circle; the gradient is shifted back."""
    return {"self": g.roll([-n for n in call["shifts"]], call["dims"])}


def rot90(call: Call, g: Tensor) -> Gradients:
    """`y` turns x by k quarters; the gradient is turned back."""
    return {"self": g.rot90(-call["k"], call["dims"])}


def as_strided(call: Call, g: Tensor) -> Gradients:
    """`y` reads x's storage at places of its own; numbers read twice receive twice, and unread ones nothing."""
    x = call["self"]
    offset = call["storage_offset"]
    start = x.storage_offset() if offset is None else offset
    there = places(call["size"], call["stride"], start, g.device)
    here = places(x.shape, x.stride(), x.storage_offset(), g.device)
    length = 1 + max((int(index.max()) for index in (here, there) if index.numel()), default=-1)
    received = g.new_zeros(length).index_add_(0, there.flatten(), g.flatten())
    # Elements of an expanded x are one number: torch shares its gradient among them.
    sharing = torch.zeros(length, device=g.device, dtype=g.dtype).index_add_(
        0, here.flatten(), torch.ones_like(here.flatten(), dtype=g.dtype)
    )
    return {"self": received[here] / sharing[here]}


def unfold(call: Call, g: Tensor) -> Gradients:
    """`y` lays windows of x side by side; where windows overlap, their gradients add up."""
    x, dim = call["self"], call["dimension"]
    whole = torch.arange(x.numel(), device=g.device).reshape(x.shape)
    windows = whole.unfold(dim, call["size"], call["step"])
    return {"self": g.new_zeros(x.numel()).index_add_(0, windows.flatten(), g.flatten()).reshape(x.shape)}


def pixel_shuffle(call: Call, g: Tensor) -> Gradients:
    """`y` moves channels into the picture; the gradient moves them back."""
    return {"self": torch.pixel_unshuffle(g, call["upscale_factor"])}


def pixel_unshuffle(call: Call, g: Tensor) -> Gradients:
    """`y` moves the picture into channels; the gradient moves them back."""
    return {"self": torch.pixel_shuffle(g, call["downscale_factor"])}


X = {"self": "x"}
SAME = Rule(
    same_numbers,
    Formula("y = x in another shape", r"y = \operatorname{reshape}(x)"),
    {"self": onward("x", "g in x's shape", r"\operatorname{reshape}(g)")},
    X,
)
COPY = Rule(same_numbers, Formula("y = x", "y = x"), {"self": Formula("∂y/∂x = 1", r"\partial y/\partial x = 1")}, X)
CONVERT = Rule(
    converted,
    Formula("y = x in another type", r"y = \operatorname{cast}(x)"),
    {"self": onward("x", "g in x's type", "g")},
    X,
)
TRANSPOSE = Rule(transposed, Formula("y = xᵀ", r"y = x^\top"), {"self": onward("x", "gᵀ", r"g^\top")}, X)

SHAPE: dict[str, Rule] = {
    **dict.fromkeys(("view", "_unsafe_view", "_reshape_alias", "squeeze", "unsqueeze"), SAME),
    **dict.fromkeys(("alias", "clone"), COPY),
    "_to_copy": CONVERT,
    "convert_element_type": Rule(converted, CONVERT.value, {"a": onward("x", "g in x's type", "g")}, {"a": "x"}),
    **dict.fromkeys(("t", "transpose"), TRANSPOSE),
    "permute": Rule(
        permute,
        Formula("y = x with its axes in order π", r"y = \operatorname{permute}_\pi(x)"),
        {"self": onward("x", "g with its axes in order π⁻¹", r"\operatorname{permute}_{\pi^{-1}}(g)")},
        X,
    ),
    "expand": Rule(
        expand,
        Formula("yᵢⱼ = xᵢ, for every j", r"y_{ij} = x_i"),
        {"self": onward("x", "Σⱼ gᵢⱼ, over the repeated axes", r"\sum_j g_{ij}")},
        X,
    ),
    "repeat": Rule(
        repeat,
        Formula("y = (x, x, …)", r"y = (x, x, \ldots)"),
        {"self": onward("x", "Σ g, over the tiles", r"\sum_{\text{tiles}} g")},
        X,
    ),
    "flip": Rule(flip, Formula("yᵢ = x₋ᵢ", "y_i = x_{-i}"), {"self": onward("x", "g₋ᵢ", "g_{-i}")}, X),
    "roll": Rule(roll, Formula("yᵢ = xᵢ₋ₛ", "y_i = x_{i-s}"), {"self": onward("x", "gᵢ₊ₛ", "g_{i+s}")}, X),
    "rot90": Rule(
        rot90,
        Formula("y = x turned by k quarters", r"y = R^k x"),
        {"self": onward("x", "g turned by −k quarters", r"R^{-k} g")},
        X,
    ),
    "as_strided": Rule(
        as_strided,
        Formula("yᵢ = x's storage at offset + i·stride", r"y_i = x_{o + i \cdot s}"),
        {"self": onward("x", "Σ g, over the places that read it", r"\sum_{i:\, o + i \cdot s = k} g_i")},
        X,
    ),
    "unfold": Rule(
        unfold,
        Formula("yₙₖ = xₙₛ₊ₖ", "y_{nk} = x_{ns+k}"),
        {"self": onward("x", "Σ g, over the windows that hold it", r"\sum_{ns+k=i} g_{nk}")},
        X,
    ),
    "pixel_shuffle": Rule(
        pixel_shuffle,
        Formula("y = x, channels into the picture", r"y = \operatorname{shuffle}_r(x)"),
        {"self": onward("x", "g, the picture into channels", r"\operatorname{shuffle}_r^{-1}(g)")},
        X,
    ),
    "pixel_unshuffle": Rule(
        pixel_unshuffle,
        Formula("y = x, the picture into channels", r"y = \operatorname{shuffle}_r^{-1}(x)"),
        {"self": onward("x", "g, channels into the picture", r"\operatorname{shuffle}_r(g)")},
        X,
    ),
}
