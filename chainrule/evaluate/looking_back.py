"""What a model gains from looking back: its loss by place in the window, and on what it could have copied."""

import math
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from numpy.typing import NDArray

from chainrule.base import DataError
from chainrule.data import TokenStore
from chainrule.model import GPT, evaluating

# A token could have been copied when the tokens before it, this many, stand earlier in the window.
REPEATED = 4
AT_ONCE = 16
NEW, SAME, OTHER = 0, 1, 2


@dataclass(frozen=True)
class LookBack:
    """Mean losses in nats a token over the first windows of a text.

    `by_place` holds (places up to, loss) for places 1, 2 to 4, 5 to 16, … of a window, each up to four times as far.
    `repeated` is the loss where the four tokens before stand earlier in the window and were followed by the
    same token there, `misleading` where by another one, `new` everywhere else; NaN where there is no such place.
    """

    by_place: tuple[tuple[int, float], ...]
    repeated: float
    misleading: float
    new: float
    repeated_share: float


def look_back(model: GPT, store: TokenStore, n_windows: int = 64) -> LookBack:
    """Scores up to `n_windows` windows, evenly spread over the text; raises DataError for a text below one window."""
    length = model.config.context_length
    if store.n_tokens < length + 1:
        raise DataError(f"the text has {store.n_tokens} tokens, and one window needs {length + 1}")
    starts = np.linspace(0, store.n_tokens - length - 1, n_windows).astype(np.int64)
    ids = store.gather(np.unique(starts), length + 1)
    losses = _losses(model, ids)
    kinds = np.stack([_kinds(row) for row in ids])
    borders = [0, *(4**k for k in range(10) if 4**k < length), length]
    places = tuple((end, float(losses[:, start:end].mean())) for start, end in pairwise(borders))
    repeated, misleading, new = (
        float(losses[kinds == kind].mean()) if (kinds == kind).any() else math.nan for kind in (SAME, OTHER, NEW)
    )
    return LookBack(places, repeated, misleading, new, float((kinds == SAME).mean()))


def _losses(model: GPT, ids: NDArray[np.int64]) -> NDArray[np.float64]:
    device = model.token_embedding.weight.device
    with evaluating(model):
        found = []
        with torch.no_grad():
            for start in range(0, len(ids), AT_ONCE):
                part = torch.from_numpy(ids[start : start + AT_ONCE]).to(device)
                found.append(model.token_losses(part[:, :-1], part[:, 1:]).double().cpu().numpy())
    return np.concatenate(found)


def _kinds(row: NDArray[np.int64]) -> NDArray[np.int64]:
    """Of each target of a window: whether the latest run of the same four tokens was followed by it, or by another."""
    after: dict[tuple[int, ...], int] = {}
    kinds = np.zeros(len(row) - 1, np.int64)
    for place in range(REPEATED, len(row)):
        before = tuple(row[place - REPEATED : place].tolist())
        if before in after:
            kinds[place - 1] = SAME if after[before] == row[place] else OTHER
        after[before] = int(row[place])
    return kinds
