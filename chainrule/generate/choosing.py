"""One token out of the scores of all: the numbers that are drawn, and what they choose."""

from collections.abc import Iterator, Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor

from chainrule.generate.rules import NEVER

NUMBERS_AT_ONCE = 256


def draw(logits: Float[Tensor, "B V"], uniforms: Float[Tensor, " B"]) -> Int[Tensor, " B"]:
    """The token at which the running sum of the probabilities passes each row's number in [0, 1)."""
    shares = logits.softmax(-1)
    sums = shares.cumsum(-1)
    places = torch.searchsorted(sums, uniforms[:, None] * sums[:, -1:], right=True).squeeze(-1)
    # Rounding can carry a number close to 1 past the end: the last token that has a share is meant then. Elsewhere the
    # sum has grown at the place that is found, so it has a share, and the search for the last is spared.
    if int(places.max()) < shares.shape[-1]:
        return places
    last = shares.shape[-1] - 1 - (shares > 0).flip(-1).int().argmax(-1)
    return torch.minimum(places, last)


def only(logits: Float[Tensor, " V"], allowed: Sequence[int]) -> Float[Tensor, " V"]:
    """The scores of the allowed tokens; all others never."""
    kept = torch.full_like(logits, NEVER)
    places = torch.tensor(allowed, device=logits.device)
    return kept.scatter(0, places, logits[places])


def uniforms(seed: int) -> Iterator[float]:
    """Numbers in [0, 1) without an end, made as they are asked for: the length of a text costs nothing beforehand."""
    generator = torch.Generator().manual_seed(seed)
    while True:
        yield from torch.rand(NUMBERS_AT_ONCE, generator=generator).tolist()
