"""What is in a tensor: a few numbers, where NaN and Inf stand, a histogram, a heatmap, and small tensors whole."""

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from chainrule.lens.tape import Stats, measure

# Beyond this many elements statistics are those of a sample: a float64 copy of more would need 128 MiB and seconds.
MOST_MEASURED = 2**24
N_SAMPLED = 2**20
N_BINS = 40
PLACES_SHOWN = 3
WHOLE_ELEMENTS = 64
HEATMAP_ROWS, HEATMAP_COLUMNS = 24, 48
SHARES = (0.05, 0.25, 0.5, 0.75, 0.95)
SMALL_INTEGERS = (torch.bool, torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64)

Places = tuple[tuple[int, ...], ...]


@dataclass(frozen=True)
class Histogram:
    """Counts in bins of one width between `edges`; a bin that holds one integer has it as its left edge."""

    edges: tuple[float, ...]
    counts: tuple[int, ...]


@dataclass(frozen=True)
class Heatmap:
    """The last two axes, at index 0 of the others; a cell is the mean of its elements, NaN where one is not finite."""

    rows: tuple[tuple[float, ...], ...]
    n_rows: int
    n_columns: int
    leading: tuple[int, ...]


@dataclass(frozen=True)
class Values:
    """The numbers of a tensor. `stats` and `quantiles` leave NaN and Inf out; of complex numbers they are those of the
    magnitudes.

    `n_sampled` is None when every element was read; else the elements drawn, with repetition, for everything but
    `smallest`, `largest`, and the counts and places of NaN and Inf, which are always exact.
    """

    smallest: float | int
    largest: float | int
    stats: Stats
    quantiles: dict[float, float]
    n_zero: int
    nan_places: Places
    inf_places: Places
    histogram: Histogram | None
    heatmap: Heatmap | None
    n_sampled: int | None


@torch.no_grad()
def values(tensor: Tensor) -> Values | None:
    """What is in the tensor; None where there is nothing to read: no elements, or the device `meta`."""
    if not tensor.numel() or tensor.is_meta:
        return None
    plain = tensor.detach()
    if plain.is_floating_point() and plain.element_size() == 1:
        plain = plain.float()  # torch has no comparisons in float8
    n_sampled = None if plain.numel() <= MOST_MEASURED else N_SAMPLED
    read = plain if n_sampled is None else sampled(plain, n_sampled)
    numbers = _wide(read).reshape(-1)
    stats = measure(read)
    smallest, largest = _exact_ends(plain, stats)
    nan_places, inf_places, n_nan, n_inf = _wrong_places(plain, numbers if n_sampled is None else None)
    stats = Stats(smallest, largest, stats.mean, stats.std, stats.norm, n_nan, n_inf)
    finite = numbers[np.isfinite(numbers)]
    return Values(
        smallest,
        largest,
        stats,
        quantiles(finite),
        int((numbers == 0).sum()),
        nan_places,
        inf_places,
        histogram(finite, whole=not (plain.is_floating_point() or plain.is_complex())),
        heatmap(plain),
        n_sampled,
    )


def quantiles(finite: np.ndarray) -> dict[float, float]:
    """Below which number which share of the elements is; empty without a number."""
    if not finite.size:
        return {}
    halves = np.quantile(finite / 2, SHARES)  # the difference of two halves cannot overflow
    return {share: float(2 * one) for share, one in zip(SHARES, halves, strict=True)}


def sampled(tensor: Tensor, n: int) -> Tensor:
    """`n` elements drawn with repetition, always the same ones, without a copy of the tensor."""
    generator = torch.Generator().manual_seed(0)
    drawn = torch.randint(tensor.numel(), (n,), generator=generator).to(tensor.device)
    return tensor[torch.unravel_index(drawn, tensor.shape)]


def histogram(finite: np.ndarray, *, whole: bool, n_bins: int = N_BINS) -> Histogram | None:
    """Counts in at most `n_bins` bins; of few different integers one bin each. None without a number."""
    if not finite.size:
        return None
    low, high = float(finite.min()), float(finite.max())
    if low == high:
        return Histogram((low, high), (int(finite.size),))
    if whole:
        width = math.ceil((high - low + 1) / n_bins)
        n_bins = math.ceil((high - low + 1) / width)
        edges = np.array([low + width * at for at in range(n_bins + 1)])
    else:
        step = high / n_bins - low / n_bins
        edges = np.array([*(low + step * at for at in range(n_bins)), high])
        if not (edges[1:] > edges[:-1]).all():  # neighbours in floating point: nothing fits between them
            edges = np.array([low, high])
    counts, _ = np.histogram(finite, edges)
    return Histogram(tuple(map(float, edges)), tuple(map(int, counts)))


def heatmap(tensor: Tensor) -> Heatmap | None:
    """At most 24 by 48 cells; None for a scalar. A vector is one row."""
    if not tensor.dim():
        return None
    leading = (0,) * max(0, tensor.dim() - 2)
    matrix = tensor[leading]
    cells = _wide(matrix.reshape(1, -1) if matrix.dim() == 1 else matrix)
    n_rows, n_columns = cells.shape
    for axis, most in ((0, HEATMAP_ROWS), (1, HEATMAP_COLUMNS)):
        cells = _pooled(cells, axis, min(cells.shape[axis], most))
    cells = np.where(np.isfinite(cells), cells, np.nan)
    return Heatmap(tuple(tuple(map(float, row)) for row in cells), n_rows, n_columns, leading)


def _pooled(cells: np.ndarray, axis: int, n: int) -> np.ndarray:
    """Means of `n` groups of neighbours along an axis, as equal in size as can be."""
    starts = np.arange(n) * cells.shape[axis] // n
    sizes = np.diff([*starts, cells.shape[axis]])
    shape = (-1, 1) if axis == 0 else (1, -1)
    with np.errstate(invalid="ignore", over="ignore"):
        return np.add.reduceat(cells, starts, axis) / sizes.reshape(shape)


def _wide(tensor: Tensor) -> np.ndarray:
    """The numbers as float64 of NumPy; of complex ones the magnitudes."""
    tensor = tensor.cpu()
    wide = tensor.to(torch.complex128).abs() if tensor.is_complex() else tensor.to(torch.float64)
    return wide.resolve_neg().numpy()


def _exact_ends(tensor: Tensor, stats: Stats) -> tuple[float | int, float | int]:
    """Smallest and largest of the finite elements; integers exactly, although float64 holds them only up to 2**53."""
    if tensor.dtype in SMALL_INTEGERS:
        return int(tensor.min()), int(tensor.max())
    if tensor.numel() <= MOST_MEASURED or tensor.is_complex():
        return stats.smallest, stats.largest
    if _all_finite(tensor):
        return float(tensor.min()), float(tensor.max())
    finite = tensor.isfinite()
    return float(tensor.where(finite, math.inf).min()), float(tensor.where(finite, -math.inf).max())


def _all_finite(tensor: Tensor) -> bool:
    return bool(torch.stack(torch.aminmax(tensor)).isfinite().all())


def _wrong_places(tensor: Tensor, numbers: np.ndarray | None) -> tuple[Places, Places, int, int]:
    """The first places of NaN and of Inf, and how many there are of each."""
    if not (tensor.is_floating_point() or tensor.is_complex()):
        return (), (), 0, 0
    if numbers is None and not tensor.is_complex() and _all_finite(tensor):
        return (), (), 0, 0
    flat = numbers if numbers is not None else _wide(tensor).reshape(-1)
    found = []
    for wrong in (np.isnan(flat), np.isinf(flat)):
        first = [np.unravel_index(at, tuple(tensor.shape)) for at in np.flatnonzero(wrong)[:PLACES_SHOWN]]
        found.append((tuple(tuple(map(int, place)) for place in first), int(wrong.sum())))
    return found[0][0], found[1][0], found[0][1], found[1][1]
