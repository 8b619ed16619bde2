"""One block: gather, then think, each added to the residual stream."""

from jaxtyping import Bool, Float
from torch import Tensor, nn

from chainrule.config import ModelConfig
from chainrule.model.attention import Attention
from chainrule.model.cache import KVCache
from chainrule.model.feed_forward import FEED_FORWARDS
from chainrule.model.norm import NORMS
from chainrule.model.position import Rotation


class Block(nn.Module):
    """Pre-norm: each layer reads a normalised copy of the stream and adds to the stream itself."""

    def __init__(self, config: ModelConfig, layer: int) -> None:
        super().__init__()
        self.attention_norm = NORMS[config.norm](config.emb_dim, config)
        self.attention = Attention(config, layer)
        self.feed_forward_norm = NORMS[config.norm](config.emb_dim, config)
        self.feed_forward = FEED_FORWARDS[config.activation](config)
        self.drop = nn.Dropout(config.drop_rate)

    def forward(
        self,
        x: Float[Tensor, "B T D"],
        rotation: Rotation = None,
        mask: Bool[Tensor, "B 1 T S"] | None = None,
        cache: KVCache | None = None,
    ) -> Float[Tensor, "B T D"]:
        """The stream after this block."""
        x = x + self.drop(self.attention(self.attention_norm(x), rotation, mask, cache))
        return x + self.drop(self.feed_forward(self.feed_forward_norm(x)))

    def heads(self, x: Float[Tensor, "B T D"], rotation: Rotation = None) -> tuple[Tensor, Tensor, Tensor]:
        """What the attention of this block compares and gathers: queries, keys, values; see `Attention.projected`."""
        return self.attention.projected(self.attention_norm(x), rotation)

    def finished(self, x: Float[Tensor, "B T D"], gathered: Float[Tensor, "B T W"]) -> Float[Tensor, "B T D"]:
        """The stream after this block, in evaluation mode, from what each place has gathered with `heads`."""
        x = x + self.attention.out(gathered)
        return x + self.feed_forward(self.feed_forward_norm(x))
