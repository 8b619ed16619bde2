"""Several tensors by name, where nobody has said yet which one is to be looked at."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from chainrule.lens.tensors.words import dtype_name
from chainrule.show import shape_text, table_lines

HEADS = ("tensor", "shape", "dtype", "elements")


@dataclass(frozen=True)
class TensorList:
    """The tensors of a file or a model; `origin` says in words where they are from. A single one may have no name."""

    origin: str
    tensors: Mapping[str, Tensor]


def list_lines(found: TensorList) -> list[str]:
    """A line for each: its shape, its dtype and how many elements it has."""
    rows = [
        (name, shape_text(one.shape) or "()", dtype_name(one.dtype), f"{one.numel():,}")
        for name, one in found.tensors.items()
    ]
    return table_lines(HEADS, rows, right=HEADS[1:], shrink=HEADS[:1])


def list_facts(found: TensorList) -> dict[str, Any]:
    """The same for JSON."""
    told = {name: {"shape": list(one.shape), "dtype": dtype_name(one.dtype)} for name, one in found.tensors.items()}
    return {"origin": found.origin, "tensors": told}
