"""A formula computed with numbers: each letter is a float64 tensor."""

import math
import operator
from collections.abc import Mapping

import torch
from torch import Tensor

ARITHMETIC = {"+": operator.add, "−": operator.sub, "·": operator.mul, "/": operator.truediv, "^": operator.pow}
RELATIONS = {"<": operator.lt, ">": operator.gt, "=": operator.eq, "≤": operator.le, "≥": operator.ge}


def trigamma(x: Tensor) -> Tensor:
    """ψ₁(x): torch's own has ten digits."""
    whole = torch.special.zeta(2.0, torch.where(x > 0, x, 1 - x))
    return torch.where(x > 0, whole, (math.pi / torch.sin(math.pi * x)) ** 2 - whole)


FUNCTIONS = {
    "arcsin": torch.asin, "arccos": torch.acos, "arctan": torch.atan, "arsinh": torch.asinh, "arcosh": torch.acosh,
    "artanh": torch.atanh, "ln": torch.log, "log₂": torch.log2, "log₁₀": torch.log10, "σ": torch.sigmoid,
    "Φ": lambda x: torch.erfc(-x * math.sqrt(0.5)) / 2,
    "φ": lambda x: torch.exp(-x * x / 2) / math.sqrt(2 * math.pi),
    "lnΓ": torch.lgamma, "ψ": torch.digamma, "ψ₁": lambda x: trigamma(x), "I₀": torch.special.i0,
    "I₁": torch.special.i1,
    "max": torch.maximum, "min": torch.minimum,
}  # fmt: skip


def compute(tree: tuple, letters: Mapping[str, Tensor]) -> Tensor:
    kind, *parts = tree
    if kind == "number":
        return torch.tensor(parts[0], dtype=torch.float64)
    if kind == "symbol":
        return letters[parts[0]]
    if kind == "[]":
        return RELATIONS[parts[0]](compute(parts[1], letters), compute(parts[2], letters)).double()
    if kind == "call":
        function = FUNCTIONS.get(parts[0]) or getattr(torch, parts[0])
        return function(*(compute(part, letters) for part in parts[1:]))
    return ARITHMETIC[kind](*(compute(part, letters) for part in parts))
