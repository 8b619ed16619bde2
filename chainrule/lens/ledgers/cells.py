"""A tensor as one cell of a table: its shape, its norm, and the numbers themselves where they are few."""

from dataclasses import dataclass

import torch
from torch import Tensor

from chainrule.lens.tape import Stats, measure
from chainrule.show import number_text, shape_text

FEW = 64


@dataclass(frozen=True)
class Cell:
    """`number` is the number itself when there is one element; `elements` a copy of the tensor when it has at most 64.

    `stats` and `elements` are None for a large tensor that was asked for without details.
    """

    shape: tuple[int, ...]
    number: float | None
    norm: float
    stats: Stats | None
    elements: Tensor | None


@torch.no_grad()
def cell(tensor: Tensor, *, stats: bool = True) -> Cell:
    """The cell of a tensor; `norm` is Euclidean, in float64. Without `stats` large tensors have only their norm."""
    still = tensor.detach()
    n = still.numel()
    measured = measure(still) if stats else None
    return Cell(
        tuple(still.shape),
        float(still) if n == 1 and not still.is_complex() else None,
        _norm(still),
        measured,
        still.clone() if n <= FEW else None,
    )


def _norm(tensor: Tensor) -> float:
    kind = torch.complex128 if tensor.is_complex() else torch.float64
    if tensor.is_floating_point() and tensor.dtype != torch.float64:
        return float(torch.linalg.vector_norm(tensor, dtype=torch.float64))
    return float(torch.linalg.vector_norm(tensor.to(kind)))


def value_text(cell: Cell | None) -> str:
    """A scalar as its number, a tensor as shape and ‖norm‖."""
    if cell is None:
        return ""
    return number_text(cell.number) if cell.number is not None else f"{shape_text(cell.shape)} {norm_text(cell)}"


def norm_text(cell: Cell) -> str:
    """A scalar as its number, a tensor as its norm alone."""
    return number_text(cell.number) if cell.number is not None else f"‖{cell.norm:.4g}‖"
