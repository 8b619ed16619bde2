"""Derivatives as autograd makes them: from a result that was rounded when it was stored.

Where a function is saturated (a sigmoid near 1, a probability near 1) that result has lost the digits that its
derivative is made of. Our rules are made from the argument and keep them, so that the two are independent. What the
rounding of the result does to autograd's formula is no fault, but it bounds what a comparison can prove: the walks with
noise make the derivative as autograd does, from a result that is wrong by a rounding.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from chainrule.lens.rules import Call, Gradients

# Makes a tensor wrong by one rounding of its format.
Rounded = Callable[[Tensor], Tensor]


def _sigmoid(call: Call, rounded: Rounded, g: Tensor) -> Gradients:
    y = rounded(call.out)
    return {"self": (1 - y) * y * g}


def _tanh(call: Call, rounded: Rounded, g: Tensor) -> Gradients:
    y = rounded(call.out)
    return {"self": (1 - y * y) * g}


def _expm1(call: Call, rounded: Rounded, g: Tensor) -> Gradients:
    return {"self": (rounded(call.out) + 1) * g}


def _log_softmax(call: Call, rounded: Rounded, g: Tensor) -> Gradients:
    return {"self": g - rounded(call.out.exp()) * g.sum(call["dim"], keepdim=True)}


STORED: dict[str, Callable[[Call, Rounded, Tensor], Gradients]] = {
    "sigmoid": _sigmoid,
    "tanh": _tanh,
    "expm1": _expm1,
    "_log_softmax": _log_softmax,
}


def as_stored(call: Call, rounded: Rounded, incoming: tuple[Tensor | None, ...]) -> Gradients:
    """The gradient by autograd's formula, from a rounded result; of an operation in `STORED`."""
    (g, *_) = incoming
    assert g is not None
    wide = torch.promote_types(g.dtype, torch.float32)
    found = STORED[call.node.rule_name](call, rounded, g.to(wide))
    return {name: one.to(g.dtype) if isinstance(one, Tensor) else one for name, one in found.items()}
