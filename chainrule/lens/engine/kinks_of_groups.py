"""Which side of its kinks an operation on several numbers took: groups, margins, grids, distances."""

import math
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

Given = Mapping[str, Any]
EXTREMES = {"amax": "amax", "amin": "amin", "max": "amax", "min": "amin"}


def _grid(given: Given) -> list[Tensor]:
    """Between which points of the picture each place lies, and to which it is nearest."""
    sizes = torch.tensor([*reversed(given["input"].shape[2:])], dtype=given["grid"].dtype)
    place = (given["grid"] + 1) * (sizes - 1) / 2 if given["align_corners"] else ((given["grid"] + 1) * sizes - 1) / 2
    return [place.floor(), (place + 0.5).floor()]


def _scattered(given: Given) -> list[Tensor]:
    """Which members are the largest or smallest of their group."""
    how = EXTREMES.get(given["reduce"])
    if how is None:
        return []
    x, dim, index = given["self"], given["dim"], given["index"]
    members = given["src"] if "src" in given else given["source"]
    if index.dim() < members.dim():
        index = index.reshape([-1 if axis == dim % members.dim() else 1 for axis in range(members.dim())])
        index = index.expand_as(members)
    members = members[tuple(slice(n) for n in index.shape)]
    y = x.scatter_reduce(dim, index, members, how, include_self=given["include_self"])
    return [members == y.gather(dim, index), x == y]


def _pieces(given: Given) -> list[Tensor]:
    """The order of the numbers in the pieces."""
    return [given["data"].argsort(given["axis"])] if given["reduce"] in EXTREMES else []


def _median(given: Given) -> list[Tensor]:
    x = given["self"]
    return [x == x.nanmedian()] if given.get("dim") is None else []


def _margin(given: Given) -> list[Tensor]:
    x, t = given["self"], given["target"]
    x, t = (x.unsqueeze(0), t.reshape(1)) if x.dim() < 2 else (x, t)
    return [given["margin"] - x.gather(1, t[:, None]) + x > 0]


def _margins(given: Given) -> list[Tensor]:
    x = given["self"]
    return [x.unsqueeze(-1) - x.unsqueeze(-2) > 1]


def _pairs(given: Given) -> list[Tensor]:
    """The signs of differences, for sums of sizes; which is the largest, for the largest."""
    p = float(given["p"])
    if p != 1 and not math.isinf(p):
        return []
    one, other = (given["x1"], given["x2"]) if "x1" in given else (given["self"], given["self"])
    apart = one.unsqueeze(-2) - other.unsqueeze(-3)
    return [apart > 0] if p == 1 else [apart.abs() == apart.abs().amax(-1, keepdim=True), apart > 0]


def _length(given: Given) -> list[Tensor]:
    rows = given["self"].movedim(given["dim"], 0).flatten(1)
    return [torch.linalg.vector_norm(rows, float(given["p"]), 1) > given["maxnorm"]]


KINKS_OF_GROUPS: dict[str, Callable[[Given], list[Tensor]]] = {
    **dict.fromkeys(("grid_sampler_2d", "grid_sampler_3d"), _grid),
    **dict.fromkeys(("scatter_reduce", "index_reduce"), _scattered),
    "segment_reduce": _pieces,
    **dict.fromkeys(("median", "nanmedian"), _median),
    "multi_margin_loss": _margin,
    "multilabel_margin_loss_forward": _margins,
    **dict.fromkeys(("_pdist_forward", "_cdist_forward"), _pairs),
    "renorm": _length,
    "copysign": lambda given: [given["self"] > 0, torch.as_tensor(given["other"]) > 0],
}
