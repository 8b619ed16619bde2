"""A tensor small enough for a page: its few numbers, a histogram, and a picture of at most 32 × 32 squares."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from chainrule.lens.statistics import measure

N_BINS = 32
SIDE = 32
FEW = 64  # elements that are kept as they are
# A histogram of more elements takes every k-th: its shape stays, and one tensor of a GPT has 50 million.
MOST_COUNTED = 1 << 20


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
    stats, n = measure(still), still.numel()
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
    sheet = tensor.reshape(-1, tensor.shape[-1] if tensor.dim() else 1).float()
    rows, columns = min(SIDE, sheet.shape[0]), min(SIDE, sheet.shape[1])
    if low < 0 < high:
        high = max(-low, high)
        low = -high
    finite = sheet.isfinite()
    clean = sheet if bool(finite.all()) else sheet.nan_to_num(0.0, 0.0, 0.0)
    top = functional.adaptive_max_pool2d(clean[None], (rows, columns))[0].double()
    bottom = -functional.adaptive_max_pool2d(-clean[None], (rows, columns))[0].double()
    loudest = torch.where(top.abs() >= bottom.abs(), top, bottom)
    grey = ((loudest - low) / (high - low) * 254).round().clamp(0, 254)
    if clean is not sheet:
        broken = functional.adaptive_max_pool2d((~finite).float()[None], (rows, columns))[0] > 0
        grey[broken] = 255
    return Heat(rows, columns, low, high, bytes(grey.to(torch.uint8).flatten().tolist()))


def smaller(one: Heat, side: int) -> Heat:
    """The same picture with at most `side` squares each way, again by largest magnitude."""
    if one.rows <= side and one.columns <= side:
        return one
    grey = torch.tensor(list(one.squares), dtype=torch.float64).reshape(one.rows, one.columns)
    values = torch.where(grey == 255, torch.nan, one.low + grey / 254 * (one.high - one.low))
    rows, columns = min(side, one.rows), min(side, one.columns)
    less = heat(_paved(values, rows, columns), one.low, one.high)
    return Heat(rows, columns, less.low, less.high, less.squares)


def _paved(values: Tensor, rows: int, columns: int) -> Tensor:
    """The element of largest magnitude of each of rows × columns patches; NaN where there is one."""
    loud = values.abs().nan_to_num(math.inf)
    _, place = functional.adaptive_max_pool2d(loud[None], (rows, columns), return_indices=True)
    return values.flatten()[place[0].flatten()].reshape(rows, columns)


def _there(number: float) -> float | None:
    return number if math.isfinite(number) else None
