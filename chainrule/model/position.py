"""How the model knows the order of tokens: a learned vector for each place, or rotated queries and keys."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from chainrule.base import ModelError
from chainrule.config import ModelConfig
from chainrule.kernels import rotated
from chainrule.model.rope import rope_speeds

Places = slice | Tensor
"""Where in its text each token stands: the same places in all rows, or int64 [B, T] where rows differ in length."""


class LearnedPosition(nn.Module):
    """A vector for each place, added to the token's (GPT-2)."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(config.context_length, config.emb_dim))

    def embed(self, x: Float[Tensor, "B T D"], places: Places) -> Float[Tensor, "B T D"]:
        """`x` plus the vectors of its places."""
        return x + self.weight[places]

    def rotation(self, places: Places) -> None:
        """No rotation: the places are in the residual stream already."""
        return None


class RotaryPosition(nn.Module):
    """Queries and keys are turned by an angle that grows with the place (Su et al., arXiv 2104.09864).

    Component `i` turns together with component `i + K/2`, as in Hugging Face's Llama and Qwen3.
    """

    cosine: Tensor
    sine: Tensor

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.register_buffer("cosine", torch.empty(config.context_length, config.head_dim), persistent=False)
        self.register_buffer("sine", torch.empty(config.context_length, config.head_dim), persistent=False)
        self.config = config
        self.fill()

    def fill(self) -> None:
        """Computes the tables in place (needed again after a model built on `meta` got its memory)."""
        if self.cosine.is_meta:
            return  # nothing can be computed there, and torch would load its compiler to find that out: two seconds
        places = torch.arange(len(self.cosine), device=self.cosine.device, dtype=torch.float32)
        angles = torch.outer(places, rope_speeds(self.config, self.cosine.device)).repeat(1, 2)
        self.cosine.copy_(angles.cos())
        self.sine.copy_(angles.sin())

    def embed(self, x: Float[Tensor, "B T D"], places: Places) -> Float[Tensor, "B T D"]:
        """`x` itself: the places enter through the rotation."""
        return x

    def rotation(self, places: Places) -> tuple[Float[Tensor, "*one T K"], Float[Tensor, "*one T K"]]:
        """Cosines and sines of the places; [B, 1, T, K], one for all heads, where each row has its own."""
        cosine, sine = self.cosine[places], self.sine[places]
        return (cosine, sine) if isinstance(places, slice) else (cosine[:, None], sine[:, None])


Rotation = tuple[Tensor, Tensor] | None
POSITIONS: dict[str, type[LearnedPosition] | type[RotaryPosition]] = {
    "learned": LearnedPosition,
    "rope": RotaryPosition,
}


def rotate(x: Float[Tensor, "B H T K"], rotation: Rotation) -> Float[Tensor, "B H T K"]:
    """`x` turned by `rotation`, in the dtype of `x`; unchanged when there is none."""
    if rotation is None:
        return x
    return rotated(x, *rotation)


def check_length(start: int, length: int, config: ModelConfig) -> None:
    """Raises ModelError when places `start` to `start + length` go beyond the context."""
    if start + length > config.context_length:
        raise ModelError(
            f"{start + length} tokens are more than context_length={config.context_length}; "
            "give a shorter text, or train with a longer context"
        )
