"""A tensor small enough for a page: its few numbers, a histogram, and a picture of at most 32 × 32 squares."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from chainrule.lens.tape import Stats, measure

N_BINS = 32
SIDE = 32
FEW = 64  # elements that are kept as they are
# A histogram of more elements takes every k-th: its shape stays, and one tensor of a GPT has 50 million.
MOST_COUNTED = 1 << 20
LARGE = 1 << 16
TOP, NOT_FINITE = 254, 255


@dataclass(frozen=True)
class Histogram:
    """How many finite elements lie in each of equal bins from `low` to `high`; only every `every`-th was counted."""

    low: float
    high: float
    counts: tuple[int, ...]
    every: int


@dataclass(frozen=True)
class Heat:
    """A picture of `rows` × `columns` squares, row by row: byte 0 is `low`, 254 is `high`, 255 is not finite.

    All axes but the last are laid one below the other. Each square shows the element of largest magnitude among those
    that it stands for, so that a single wild one is seen. `low` and `high` lie around 0 where signs differ.
    """

    rows: int
    columns: int
    low: float
    high: float
    squares: bytes


@dataclass(frozen=True)
class Look:
    """What a page shows of one tensor. `number` is there for one element, `elements` for at most 64, in order.

    Numbers that do not exist (of an empty tensor, or one without a finite element) are None.
    """

    norm: float | None
    smallest: float | None
    largest: float | None
    mean: float | None
    std: float | None
    n_nan: int
    n_inf: int
    number: float | None = None
    elements: tuple[float, ...] | None = None
    histogram: Histogram | None = None
    heat: Heat | None = None


@torch.no_grad()
def look(tensor: Tensor, *, pictures: bool = True) -> Look:
    """The look of a tensor; without `pictures` neither histogram nor heat. Of complex numbers the magnitude."""
    still = tensor.detach().cpu()
    still = still.abs() if still.is_complex() else still
    stats, n = _measured(still), still.numel()
    few = tuple(float(one) for one in still.flatten().tolist()) if 1 < n <= FEW else None
    drawn = pictures and n > 1 and stats.largest > stats.smallest
    return Look(
        _there(stats.norm),
        _there(stats.smallest),
        _there(stats.largest),
        _there(stats.mean),
        _there(stats.std),
        stats.n_nan,
        stats.n_inf,
        float(still) if n == 1 else None,
        few,
        histogram(still, stats.smallest, stats.largest) if drawn else None,
        heat(still, stats.smallest, stats.largest) if drawn else None,
    )


def histogram(tensor: Tensor, low: float, high: float) -> Histogram:
    """Counts of the finite elements between `low` and `high`, which differ."""
    every = math.ceil(tensor.numel() / MOST_COUNTED)
    some = tensor.flatten()[::every].double()
    some = some[some.isfinite()]
    place = ((some - low) / (high - low) * N_BINS).long().clamp(0, N_BINS - 1)
    return Histogram(low, high, tuple(torch.bincount(place, minlength=N_BINS).tolist()), every)


def heat(tensor: Tensor, low: float, high: float) -> Heat:
    """The picture of a tensor whose finite elements lie between `low` and `high`."""
    sheet = tensor.reshape(-1, tensor.shape[-1] if tensor.dim() else 1)
    rows, columns = min(SIDE, sheet.shape[0]), min(SIDE, sheet.shape[1])
    if low < 0 < high:
        high = max(-low, high)
        low = -high
    return _painted(_loudest(sheet, rows, columns), low, high)


def smaller(one: Heat, side: int) -> Heat:
    """The same picture with at most `side` squares each way, again by largest magnitude."""
    if one.rows <= side and one.columns <= side:
        return one
    grey = torch.tensor(list(one.squares), dtype=torch.float64).reshape(one.rows, one.columns)
    values = torch.where(grey == NOT_FINITE, torch.nan, one.low + grey / TOP * (one.high - one.low))
    return _painted(_loudest(values, min(side, one.rows), min(side, one.columns)), one.low, one.high)


def _loudest(sheet: Tensor, rows: int, columns: int) -> Tensor:
    """The element of largest magnitude of each of rows × columns patches; not finite where one of them is not."""
    whole = sheet if sheet.is_floating_point() else sheet.to(torch.float64)
    top, bottom = (_reduced(whole, rows, columns, way) for way in ("amax", "amin"))
    return torch.where(top.abs() >= bottom.abs(), top, bottom).double()


def _reduced(sheet: Tensor, rows: int, columns: int, way: str) -> Tensor:
    across = torch.stack([getattr(part, way)(0) for part in sheet.tensor_split(rows, 0)])
    return torch.stack([getattr(part, way)(1) for part in across.tensor_split(columns, 1)], 1)


def _painted(squares: Tensor, low: float, high: float) -> Heat:
    grey = ((squares - low) / (high - low) * TOP).round().clamp(0, TOP)
    grey[~squares.isfinite()] = NOT_FINITE
    return Heat(squares.shape[0], squares.shape[1], low, high, bytes(grey.to(torch.uint8).flatten().tolist()))


def _measured(tensor: Tensor) -> Stats:
    """As `measure`, in three passes where a large tensor is all finite: a GPT has hundreds of millions of elements."""
    if tensor.numel() < LARGE or not tensor.is_floating_point():
        return measure(tensor)
    low, high = (float(one) for one in tensor.aminmax())
    if not (math.isfinite(low) and math.isfinite(high)):
        return measure(tensor)
    mean = float(tensor.mean(dtype=torch.float64))
    norm = float(torch.linalg.vector_norm(tensor, dtype=torch.float64))
    return Stats(low, high, mean, math.sqrt(max(0.0, norm * norm / tensor.numel() - mean * mean)), norm, 0, 0)


def _there(number: float) -> float | None:
    return number if math.isfinite(number) else None
