"""A model whose weights take 1/2 to 1/8 of their bytes while it writes, held against the full ones when it is made."""

import sys
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal, get_args

import torch
from torch import Tensor, nn

from chainrule.base import ConfigError, processor_class
from chainrule.checkpoint import OpenedModel
from chainrule.model import (
    FEW_ROWS,
    GPT,
    GROUP,
    BFloat16Linear,
    FlatBlocks,
    Int4Linear,
    Int8Linear,
    JoinedSwiGLU,
    RotatedInt8Linear,
    SwiGLUFeedForward,
    TurnedLinear,
    can_be_flat,
    dequantised,
    four_bits,
    int4_fits,
    int8_fits,
    joined,
    linear_of,
    sharing,
    whole_numbers_are_exact,
)

Weights = Literal["float32", "float32-turned", "bfloat16", "int8", "int4"]
# Numbers of rows with which each packed product is tried: one token, a few, and more than any block of the kernels.
TRIED_ROWS = (1, 3, 19)
# Largest error over the largest result. bfloat16's inputs and outputs make 0.004 at most here; a kernel that reads past
# a row's end or takes a layout for another is off by a whole result.
TOLERANCE = 0.02

Packing = tuple[nn.Module, Tensor]
"""A packed layer, and the float32 weight [N, K] that it stands for."""


def _anything(linear: nn.Linear) -> None:
    return None


@dataclass(frozen=True)
class Product:
    """One operation on packed weights, how a linear layer is packed for it, and why it would not take one."""

    words: str
    packed: Callable[[nn.Linear], Packing]
    does_not_take: Callable[[nn.Linear], str | None] = _anything


def quantised(opened: OpenedModel, weights: str, *, on_fallback: Callable[[str], None] | None = None) -> OpenedModel:
    """The same model with its linear layers and head packed, for writing; `opened` stays as it is, and shares the rest.

    Each packed layer is held against the product with the weights that it stands for. A layer whose operation is
    missing here, is wrong, or does not take its shape gets the next in `PRODUCTS`, at last its own weights;
    `on_fallback` hears of that in a sentence. Raises ConfigError for other `weights`, and for a model on a GPU.
    """
    if weights not in get_args(Weights):
        raise ConfigError(f"weights={weights!r} are none that can be had; use {', '.join(get_args(Weights))}")
    if weights == "float32":
        return opened
    device = opened.model.token_embedding.weight.device
    if device.type != "cpu":
        raise ConfigError(f"weights={weights} are for the CPU, and the model is on {device}; leave them at float32")
    model, notes = packed_model(opened.model, weights)
    if on_fallback is not None:
        for reason, count in notes.items():
            on_fallback(f"{reason} ({count} layers, which get the next best)")
    return replace(opened, model=model, origin=f"{opened.origin}, {weights} weights")


@torch.no_grad()
def packed_model(model: GPT, weights: str) -> tuple[GPT, Counter[str]]:
    """A model that shares all but its linear layers with `model`, and what could not be packed as asked, counted."""
    notes: Counter[str] = Counter()
    made = sharing(model)

    def packed(linear: nn.Linear) -> nn.Module:
        return packed_layer(linear, PRODUCTS[weights], notes)

    if model.config.position == "rope" and all(map(can_be_flat, model.blocks)):
        made.blocks = nn.ModuleList([FlatBlocks(model.blocks, packed)])
    else:
        _pack_apart(made.blocks, packed)
    head = packed_layer(linear_of(model.head_weight, None), HEADS[weights], notes)
    made.head = head if model.head is not None or not isinstance(head, nn.Linear) else None
    return made, notes


def packed_layer(linear: nn.Linear, products: Sequence["Product"], notes: Counter[str]) -> nn.Module:
    """The layer by the first of these products that takes its shape and is right here; itself when none is."""
    for product in products:
        reason = product.does_not_take(linear)
        if reason is None:
            try:
                layer, stands_for = product.packed(linear)
                reason = _fault(layer, stands_for, linear.bias)
            except (RuntimeError, AttributeError, NotImplementedError) as missing:
                # Of a missing operation torch says so in its first line; the rest are places in its sources.
                reason = f"is missing or refused here: {str(missing).splitlines()[0][:120]}"
            if reason is None:
                return layer
        notes[f"{product.words} {reason}"] += 1
    return linear


def _fault(layer: nn.Module, stands_for: Tensor, bias: Tensor | None) -> str | None:
    """Why the layer's product is none to be trusted: held against the weights that it stands for."""
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(max(TRIED_ROWS), stands_for.shape[1], generator=generator)
    right = nn.functional.linear(x, stands_for, bias)
    for n_rows in TRIED_ROWS:
        error = float((layer(x[:n_rows]) - right[:n_rows]).abs().max() / right.abs().max().clamp(min=1e-30))
        if not error <= TOLERANCE:
            return f"is wrong on this processor by more than {TOLERANCE:.0%} of the result"
    return None


def _pack_apart(blocks: nn.Module, packed: Callable[[nn.Linear], nn.Module]) -> None:
    """Packs the linear layers of blocks in their places, gate and up projection as one."""
    for parent in list(blocks.modules()):
        old = getattr(parent, "feed_forward", None)
        if isinstance(old, SwiGLUFeedForward) and type(old.gate) is type(old.up) is nn.Linear:
            parent.feed_forward = JoinedSwiGLU(joined(old.gate, old.up), old.down)
    for parent in list(blocks.modules()):
        for name, child in list(parent.named_children()):
            if type(child) is nn.Linear:
                setattr(parent, name, packed(child))


def _not_eight(linear: nn.Linear) -> str | None:
    return None if int8_fits(linear.weight) else f"takes no {linear.in_features} inputs, which 16 does not divide"


def _not_exact(linear: nn.Linear) -> str | None:
    return None if whole_numbers_are_exact() else "is added up wrongly on this processor, which lacks VNNI"


def _not_both(linear: nn.Linear) -> str | None:
    return _not_eight(linear) or _not_exact(linear)


def _not_native(linear: nn.Linear) -> str | None:
    return None if processor_class().bfloat16 else "products are emulated on this processor, slower than float32's"


def _not_four(linear: nn.Linear) -> str | None:
    shape = f"{linear.in_features} inputs and {linear.out_features} outputs"
    return None if int4_fits(linear.weight) else f"takes no {shape}, which {GROUP} and 16 do not divide"


def _int8(few_rows: int) -> Callable[[nn.Linear], Packing]:
    def packed(linear: nn.Linear) -> Packing:
        layer = Int8Linear(linear.weight, linear.bias, few_rows)
        return layer, layer.dequantised()

    return packed


def _rotated(linear: nn.Linear) -> Packing:
    layer = RotatedInt8Linear(linear.weight, linear.bias)
    return layer, layer.dequantised()


def _int4(linear: nn.Linear) -> Packing:
    levels, scale_and_zero = four_bits(linear.weight)
    return Int4Linear(levels, scale_and_zero, linear.bias), dequantised(levels, scale_and_zero)


def _bfloat16(linear: nn.Linear) -> Packing:
    layer = BFloat16Linear(linear.weight, linear.bias)
    return layer, layer.weight.float()


def _turned(linear: nn.Linear) -> Packing:
    layer = TurnedLinear(linear.weight, linear.bias)
    return layer, layer.weight


WHOLE = Product("int8 by whole numbers", _int8(0), _not_exact)
PACKED = Product("int8 by torch's packed product", _int8(sys.maxsize), _not_eight)
# The head's scores are compared with each other: rounded to bfloat16, as the packed product gives them, those near 20
# are 1/8 apart, and equals among the likeliest tokens are common.
PREPACKED = Product("int8 by fbgemm's whole numbers", _rotated)
HEAD = (PREPACKED, WHOLE, PACKED)
# One row of the packed product takes half of the time of fbgemm's, whose rotation and bytes are 55 µs of calls.
INT8 = (Product("int8 by the better of two products", _int8(FEW_ROWS), _not_both), PREPACKED, WHOLE, PACKED)
BFLOAT16 = (Product("bfloat16", _bfloat16, _not_native),)
TURNED = (Product("float32 by oneDNN", _turned),)
PRODUCTS = {
    "float32-turned": TURNED,
    "bfloat16": BFLOAT16,
    "int8": INT8,
    "int4": (Product("int4", _int4, _not_four), *INT8),
}
HEADS = {"float32-turned": TURNED, "bfloat16": BFLOAT16, "int8": HEAD, "int4": HEAD}
