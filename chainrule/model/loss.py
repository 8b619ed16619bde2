"""The chain rule of probability: the loss of a text is the sum of the surprises of its tokens."""

import torch
from jaxtyping import Float, Int
from torch import Tensor

IGNORED = -100


def token_losses(logits: Float[Tensor, "... V"], targets: Int[Tensor, "..."]) -> Float[Tensor, "..."]:
    """-ln p(target) of each token in nats, float32 at least; 0 where the target is IGNORED (-100)."""
    wide = logits if logits.dtype == torch.float64 else logits.float()
    flat = torch.nn.functional.cross_entropy(
        wide.flatten(0, -2), targets.flatten(), ignore_index=IGNORED, reduction="none"
    )
    return flat.view(targets.shape)


def mean_loss(losses: Float[Tensor, "..."], targets: Int[Tensor, "..."]) -> Float[Tensor, ""]:
    """Mean over the targets that count; 0 (never NaN) when none does."""
    return losses.sum() / (targets != IGNORED).sum().clamp(min=1)
