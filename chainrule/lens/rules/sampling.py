"""The rule of reading a picture, or a volume, between its points: `grid_sample`, made of simpler operations."""

from itertools import product

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from chainrule.lens.rules.composed import composed
from chainrule.lens.rules.notation import onward
from chainrule.lens.rules.rule import Formula, Rule

LINEAR, NEAREST, CUBIC = 0, 1, 2
ZEROS, BORDER, REFLECTION = 0, 1, 2
SHARPNESS = -0.75  # of the cubic: that of torch


def sample(
    *,
    input: Tensor,  # noqa: A002
    grid: Tensor,
    interpolation_mode: int,
    padding_mode: int,
    align_corners: bool,
) -> Tensor:
    """Coordinates run from −1 to 1 over each axis, x first. At the border itself the gradient by the grid is 0."""
    sizes = list(input.shape[2:])
    # The grid's last axis counts backwards: x belongs to the last axis of the picture.
    places = [_unscaled(grid[..., len(sizes) - 1 - axis], n, aligned=align_corners) for axis, n in enumerate(sizes)]
    if interpolation_mode == CUBIC:
        return _cubic(input, places, padding_mode, aligned=align_corners)
    places = [_held(x, n, padding_mode, aligned=align_corners) for x, n in zip(places, sizes, strict=True)]
    if interpolation_mode == NEAREST:
        return _read(input, [x.detach().round() for x in places])
    low = [x.detach().floor() for x in places]
    total = torch.zeros((), dtype=input.dtype)
    for corner in product((0, 1), repeat=len(sizes)):
        weight = torch.ones((), dtype=input.dtype)
        for x, start, step in zip(places, low, corner, strict=True):
            weight = weight * (x - start if step else start + 1 - x)
        total = total + _read(
            input, [start + step for start, step in zip(low, corner, strict=True)]
        ) * weight.unsqueeze(1)
    return total


def _unscaled(x: Tensor, n: int, *, aligned: bool) -> Tensor:
    """From [−1, 1] to places: the outer ones are the centres of the outer points (aligned), or their edges."""
    return (x + 1) * ((n - 1) / 2) if aligned else ((x + 1) * n - 1) / 2


def _held(x: Tensor, n: int, padding: int, *, aligned: bool) -> Tensor:
    """The place inside the picture from which a place outside is read."""
    if padding == ZEROS:
        return x
    if padding == REFLECTION:
        x = _reflected(x, 0 if aligned else -0.5, n - 1 if aligned else n)
    return F.hardtanh(x, 0.0, float(n - 1)) if n > 1 else x * 0  # at its bounds the slope is 0, unlike that of clamp


def _reflected(x: Tensor, start: float, span: float) -> Tensor:
    """Thrown back at both ends as often as it takes."""
    if span <= 0:
        return x * 0
    away = (x - start).abs()
    turns = (away.detach() / span).floor()
    rest = away - turns * span
    return torch.where(turns % 2 == 0, rest + start, span - rest + start)


def _read(picture: Tensor, places: list[Tensor]) -> Tensor:
    """[N, C, …] at whole places [N, …]; 0 outside."""
    sizes = picture.shape[2:]
    inside = torch.ones((), dtype=torch.bool)
    flat: Tensor | int = 0
    for x, n in zip(places, sizes, strict=True):
        inside = inside & (x >= 0) & (x <= n - 1)
        flat = flat * n + x.nan_to_num().clamp(0, n - 1).long()
    assert isinstance(flat, Tensor)
    n_examples, n_channels = picture.shape[:2]
    where = flat.reshape(n_examples, 1, -1).expand(-1, n_channels, -1)
    found = picture.flatten(2).gather(2, where).reshape(n_examples, n_channels, *flat.shape[1:])
    return found * inside.unsqueeze(1)


def _cubic(picture: Tensor, places: list[Tensor], padding: int, *, aligned: bool) -> Tensor:
    """Four points on each axis, of which each is held inside by itself."""
    low = [x.detach().floor() for x in places]
    total = torch.zeros((), dtype=picture.dtype)
    for corner in product((-1, 0, 1, 2), repeat=len(places)):
        weight, points = torch.ones((), dtype=picture.dtype), []
        for x, start, step, n in zip(places, low, corner, picture.shape[2:], strict=True):
            weight = weight * _cubic_weight(x - start, step)
            points.append(_held(start + step, n, padding, aligned=aligned))
        total = total + _read(picture, points) * weight.unsqueeze(1)
    return total


def _cubic_weight(t: Tensor, step: int) -> Tensor:
    """Keys' cubic convolution: how much the point `step` away counts at t in [0, 1)."""
    away = {-1: t + 1, 0: t, 1: 1 - t, 2: 2 - t}[step]
    a = SHARPNESS
    if step in (0, 1):
        return ((a + 2) * away - (a + 3)) * away * away + 1
    return ((a * away - 5 * a) * away + 8 * a) * away - 4 * a


SAMPLED = Rule(
    composed(sample),
    Formula("y = Σₚ w(u − p)x[p], u the places of the grid", r"y = \sum_p w(u - p) x_p"),
    {
        "input": onward("x[p]", "Σ w(u − p)g, over the places that read p", r"\sum_u w(u - p) g_u", "x_p"),
        "grid": onward("u", "g Σₚ w′(u − p)x[p]", r"g \sum_p w'(u - p) x_p"),
    },
    {"input": "x", "grid": "u"},
    wirtinger=True,
)

SAMPLING: dict[str, Rule] = dict.fromkeys(("grid_sampler_2d", "grid_sampler_3d"), SAMPLED)
