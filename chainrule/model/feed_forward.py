"""Feed-forward layers: what each token does with what it gathered, on its own."""

from jaxtyping import Float
from torch import Tensor, nn

from chainrule.config import ModelConfig
from chainrule.kernels import gated, gelu


class GELUFeedForward(nn.Module):
    """Widen, GELU in GPT-2's tanh form, narrow (Hendrycks and Gimpel, arXiv 1606.08415)."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.up = nn.Linear(config.emb_dim, config.hidden_dim, bias=config.bias)
        self.down = nn.Linear(config.hidden_dim, config.emb_dim, bias=config.bias)

    def forward(self, x: Float[Tensor, "... D"]) -> Float[Tensor, "... D"]:
        """Acts on each token alone."""
        return self.down(gelu(self.up(x)))


class SwiGLUFeedForward(nn.Module):
    """Widen twice, the one gating the other, narrow (Shazeer, arXiv 2002.05202)."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.gate = nn.Linear(config.emb_dim, config.hidden_dim, bias=config.bias)
        self.up = nn.Linear(config.emb_dim, config.hidden_dim, bias=config.bias)
        self.down = nn.Linear(config.hidden_dim, config.emb_dim, bias=config.bias)

    def forward(self, x: Float[Tensor, "... D"]) -> Float[Tensor, "... D"]:
        """Acts on each token alone."""
        return self.down(gated(self.gate(x), self.up(x)))


FEED_FORWARDS: dict[str, type[GELUFeedForward] | type[SwiGLUFeedForward]] = {
    "gelu": GELUFeedForward,
    "swiglu": SwiGLUFeedForward,
}
