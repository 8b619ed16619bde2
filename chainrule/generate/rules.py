"""Sampling rules: each changes the scores of the next token, in Hugging Face's definitions.

A rule is a small frozen class with one method; to add one, write it and export it.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float, Int
from torch import Tensor

from chainrule.base import ConfigError

NEVER = float("-inf")


@runtime_checkable
class Rule(Protocol):
    """Changes the scores of the next token."""

    def apply(self, logits: Float[Tensor, "B V"], ids: Int[Tensor, "B T"]) -> Float[Tensor, "B V"]:
        """The new scores; minus infinity means never. `ids` is each row's text so far. Inputs stay as they are."""
        ...


@dataclass(frozen=True)
class Temperature:
    """Divides the scores: below 1 bolder, above 1 wilder, 0 always the most likely token (the first of equals)."""

    value: float

    def __post_init__(self) -> None:
        if not 0 <= self.value < math.inf:
            raise ConfigError(f"temperature={self.value} is out of range; use 0 (always the likeliest) or more")

    def apply(self, logits: Float[Tensor, "B V"], ids: Int[Tensor, "B T"]) -> Float[Tensor, "B V"]:
        """Scores divided by the temperature; at 0 all but the highest are never."""
        if self.value == 0:
            best = logits.argmax(-1, keepdim=True)
            return torch.full_like(logits, NEVER).scatter(-1, best, logits.gather(-1, best))
        return logits / self.value


@dataclass(frozen=True)
class TopK:
    """Keeps the `count` highest scores, and those equal to the last of them (Fan et al., arXiv 1805.04833)."""

    count: int

    def __post_init__(self) -> None:
        if self.count < 1:
            raise ConfigError(f"top_k={self.count} is out of range; use a whole number of at least 1")

    def apply(self, logits: Float[Tensor, "B V"], ids: Int[Tensor, "B T"]) -> Float[Tensor, "B V"]:
        """The other scores are never."""
        lowest_kept = logits.topk(min(self.count, logits.shape[-1]), dim=-1).values[:, -1:]
        return logits.masked_fill(logits < lowest_kept, NEVER)


@dataclass(frozen=True)
class TopP:
    """Keeps the fewest likeliest tokens that together have at least `share` (Holtzman et al., arXiv 1904.09751)."""

    share: float

    def __post_init__(self) -> None:
        if not 0 < self.share <= 1:
            raise ConfigError(f"top_p={self.share} is out of range; use a share above 0 and up to 1")

    def apply(self, logits: Float[Tensor, "B V"], ids: Int[Tensor, "B T"]) -> Float[Tensor, "B V"]:
        """The other scores are never; the likeliest token always stays."""
        ascending, order = logits.sort(dim=-1)
        # Up to and including each token, from the unlikeliest: what is within the tail of 1 - share goes.
        in_tail = ascending.softmax(-1).cumsum(-1) <= 1 - self.share
        in_tail[:, -1] = False
        return logits.masked_fill(in_tail.scatter(-1, order, in_tail), NEVER)


@dataclass(frozen=True)
class MinP:
    """Keeps the tokens that have at least `share` of the likeliest one's probability (Nguyen et al., arXiv 2407.01082).

    Where the model is sure few are left, where it hesitates many: top-k and top-p know only one of the two.
    """

    share: float

    def __post_init__(self) -> None:
        if not 0 < self.share <= 1:
            raise ConfigError(f"min_p={self.share} is out of range; use a share above 0 and up to 1")

    def apply(self, logits: Float[Tensor, "B V"], ids: Int[Tensor, "B T"]) -> Float[Tensor, "B V"]:
        """The other scores are never; the likeliest token always stays."""
        shares = logits.softmax(-1)
        return logits.masked_fill(shares < self.share * shares.amax(-1, keepdim=True), NEVER)


@dataclass(frozen=True)
class RepetitionPenalty:
    """Makes tokens that are already in the text less likely (Keskar et al., arXiv 1909.05858); 1 changes nothing."""

    factor: float

    def __post_init__(self) -> None:
        if not 0 < self.factor < math.inf:
            raise ConfigError(f"repetition_penalty={self.factor} is out of range; use a number above 0, such as 1.1")

    def apply(self, logits: Float[Tensor, "B V"], ids: Int[Tensor, "B T"]) -> Float[Tensor, "B V"]:
        """Positive scores of tokens in `ids` are divided by the factor, negative ones multiplied by it."""
        seen = logits.gather(-1, ids)
        return logits.scatter(-1, ids, torch.where(seen < 0, seen * self.factor, seen / self.factor))


def sampling_rules(
    *,
    temperature: float = 1.0,
    top_k: int | None = None,
    top_p: float | None = None,
    min_p: float | None = None,
    repetition_penalty: float | None = None,
) -> tuple[Rule, ...]:
    """The rules of these settings in the order that Hugging Face applies them; None leaves a rule out."""
    rules: list[Rule] = []
    if repetition_penalty is not None:
        rules.append(RepetitionPenalty(repetition_penalty))
    rules.append(Temperature(temperature))
    if top_k is not None:
        rules.append(TopK(top_k))
    if top_p is not None:
        rules.append(TopP(top_p))
    if min_p is not None:
        rules.append(MinP(min_p))
    return tuple(rules)


def before_greedy(rules: Sequence[Rule]) -> tuple[Rule, ...] | None:
    """The rules after which the likeliest token is taken for sure; None where there is anything to draw.

    That is so from a temperature of 0 on, when the rules behind it only leave tokens out: they keep the likeliest.
    """
    for place, rule in enumerate(rules):
        if rule == Temperature(0) and all(isinstance(one, TopK | TopP | MinP) for one in rules[place + 1 :]):
            return tuple(rules[:place])
    return None
