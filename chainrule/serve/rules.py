"""Sampling rules of OpenAI's interface: biases and penalties, and the order of all."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from chainrule.generate import Rule, sampling_rules
from chainrule.serve.asked import Writing


@dataclass(frozen=True)
class LogitBias:
    """Adds to the scores of some tokens; -100 and 100 forbid and force in effect."""

    biases: tuple[tuple[int, float], ...]

    def apply(self, logits: Float[Tensor, "B V"], ids: Int[Tensor, "B T"]) -> Float[Tensor, "B V"]:
        """The scores with the biases."""
        places, amounts = zip(*self.biases, strict=True)
        return logits.index_add(-1, torch.tensor(places), torch.tensor(amounts).expand(len(logits), -1))


@dataclass(frozen=True)
class Penalties:
    """Takes from a token's score `frequency` for each time that it was written, and `presence` once.

    OpenAI's definition, where what was written is the answer: the prompt, its first `n_prompt` tokens, does not count.
    """

    presence: float
    frequency: float
    n_prompt: int

    def apply(self, logits: Float[Tensor, "B V"], ids: Int[Tensor, "B T"]) -> Float[Tensor, "B V"]:
        """The lower scores."""
        written = ids[:, self.n_prompt :]
        counts = torch.zeros_like(logits).scatter_add(-1, written, torch.ones(written.shape, dtype=logits.dtype))
        return logits - self.frequency * counts - self.presence * (counts > 0)


def rules_of(asked: Writing, n_prompt: int) -> tuple[Rule, ...]:
    """The rules of a request in their order: biases, penalties, then those of sampling; temperature 1 by default."""
    rules: list[Rule] = []
    biases = {int(word): amount for word, amount in (asked.logit_bias or {}).items()}
    if biases:
        rules.append(LogitBias(tuple(sorted(biases.items()))))
    presence, frequency = asked.presence_penalty or 0.0, asked.frequency_penalty or 0.0
    if presence or frequency:
        rules.append(Penalties(presence, frequency, n_prompt))
    return (*rules, *sampling_rules(**_sampling(asked)))


def _sampling(asked: Writing) -> Mapping[str, Any]:
    """What is asked of sampling; values that mean nothing (top_k -1, top_p 1, …) are left out."""
    neutral = {"top_k": (-1, 0), "top_p": (1.0,), "min_p": (0.0,), "repetition_penalty": (1.0,)}
    asked_for = {name: getattr(asked, name) for name in neutral}
    given = {name: value for name, value in asked_for.items() if value is not None and value not in neutral[name]}
    return {"temperature": 1.0 if asked.temperature is None else asked.temperature, **given}
