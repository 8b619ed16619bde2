"""What packed weights lose: the surprise of one text under the full model and under the packed one."""

import math
from dataclasses import dataclass

import torch

from chainrule.base import ConfigError
from chainrule.checkpoint import OpenedModel

# Enough for a loss of some thousandths to be seen; a model of 135M parameters reads them in about ten seconds a core.
MOST_TOKENS = 4096


@dataclass(frozen=True)
class LostBits:
    """Bits per byte of one text before and after the weights were packed; `n_bytes` of it were predicted."""

    before: float
    after: float
    n_bytes: int

    @property
    def share(self) -> float:
        """What was added, as a share of the bits before."""
        return self.after / self.before - 1

    @property
    def words(self) -> str:
        """The loss in one line."""
        return (
            f"{self.before:.4f} bits per byte with full weights, {self.after:.4f} so: {self.share:+.2%} "
            f"({self.n_bytes:,} bytes)"
        )


def lost_bits(full: OpenedModel, packed: OpenedModel, text: str) -> LostBits:
    """Both models on the first 4,096 tokens of a text, each token after those before it in its window.

    Raises ConfigError for a text with nothing to predict.
    """
    ids = full.tokenizer.encode(text)[:MOST_TOKENS]
    if len(ids) < 2:
        raise ConfigError(f"a text of {len(ids)} tokens has nothing to predict; give one of some thousand words")
    n_bytes = sum(len(full.tokenizer.token_bytes[token]) for token in ids[1:])
    before, after = (_bits(opened, ids) / n_bytes for opened in (full, packed))
    return LostBits(before, after, n_bytes)


@torch.no_grad()
def _bits(opened: OpenedModel, ids: list[int]) -> float:
    """Bits of surprise of all tokens but the first, in windows that share one token."""
    length, nats = opened.config.context_length, 0.0
    for start in range(0, len(ids) - 1, length):
        window = torch.tensor([ids[start : start + length + 1]], device=opened.model.token_embedding.weight.device)
        nats += float(opened.model.token_losses(window[:, :-1], window[:, 1:]).sum())
    return nats / math.log(2)
