"""A block of Llama's kind written out for reading: the sums of `Block` in fewer calls.

With one token a call costs more than its arithmetic. A block is some ninety calls of torch and of its modules, and
thirty of them took a third of the time of a token of SmolLM2-135M with weights of 8 bits.
"""

from typing import TypeGuard

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from chainrule.model.attention import attend
from chainrule.model.block import Block
from chainrule.model.cache import KVCache
from chainrule.model.norm import RMSNorm
from chainrule.model.packed import JoinedSwiGLU
from chainrule.model.position import Rotation, rotate


class FlatBlock(nn.Module):
    """`block` again, in evaluation mode and without gradients; its layers are called past hooks.

    Raises TypeError for a block that `can_be_flat` says is none.
    """

    layer: int
    n_heads: int
    n_groups: int
    head_dim: int
    parts: tuple[nn.Module, nn.Module, nn.Module, nn.Module]
    norms: tuple[tuple[Tensor, Tensor], ...]

    def __init__(self, block: Block) -> None:
        super().__init__()
        if not can_be_flat(block):
            raise TypeError("this block has other norms or another feed-forward layer than Llama's")
        first, second, attention = block.attention_norm, block.feed_forward_norm, block.attention
        assert isinstance(first, RMSNorm) and isinstance(second, RMSNorm)
        assert isinstance(block.feed_forward, JoinedSwiGLU)
        self.layer, self.head_dim, self.n_groups = attention.layer, attention.head_dim, attention.n_kv_heads
        self.n_heads = attention.n_heads
        # Plain attributes, here and in packed.py: torch looks parameters up in Python, a microsecond each.
        self.parts = (attention.qkv, attention.out, block.feed_forward.gate_and_up, block.feed_forward.down)
        self.norms = tuple((norm.weight.detach(), torch.tensor(norm.eps)) for norm in (first, second))

    def forward(
        self,
        x: Float[Tensor, "B T D"],
        rotation: Rotation = None,
        mask: Bool[Tensor, "B 1 T S"] | None = None,
        cache: KVCache | None = None,
    ) -> Float[Tensor, "B T D"]:
        """The stream after this block."""
        q, k, v = self.heads(x, rotation)
        if cache is not None:
            k, v = cache.append(self.layer, k, v)
        return self.finished(x, attend(q, k, v, mask).transpose(1, 2).flatten(2))

    def heads(self, x: Float[Tensor, "B T D"], rotation: Rotation = None) -> tuple[Tensor, Tensor, Tensor]:
        """Queries, keys, values, as `Block.heads` has them."""
        batch, length, _ = x.shape
        heads = self.parts[0].forward(_normalised(x, *self.norms[0])).view(batch, length, -1, self.head_dim)
        heads, n_turned = heads.transpose(1, 2), self.n_heads + self.n_groups
        turned = rotate(heads[:, :n_turned], rotation)
        return turned[:, : self.n_heads], turned[:, self.n_heads :], heads[:, n_turned:]

    def finished(self, x: Float[Tensor, "B T D"], gathered: Float[Tensor, "B T W"]) -> Float[Tensor, "B T D"]:
        """The stream after this block, as `Block.finished` has it."""
        _, out, gate_and_up, down = self.parts
        x = x + out.forward(gathered)
        gate, up = gate_and_up.forward(_normalised(x, *self.norms[1])).chunk(2, -1)
        return x + down.forward(nn.functional.silu(gate).mul_(up))


def can_be_flat(block: nn.Module) -> TypeGuard[Block]:
    """Whether it is Llama's: two RMSNorms, queries and keys as they are, a joined gated feed-forward layer."""
    return (
        isinstance(block, Block)
        and isinstance(block.attention_norm, RMSNorm)
        and isinstance(block.feed_forward_norm, RMSNorm)
        and isinstance(block.feed_forward, JoinedSwiGLU)
        and block.attention.q_norm is None
    )


def _normalised(x: Float[Tensor, "... D"], weight: Float[Tensor, " D"], eps: Float[Tensor, ""]) -> Tensor:
    """RMSNorm with one pass for the length: x / √(|x|² / D + eps), times the weight."""
    length = torch.linalg.vector_norm(x, 2, -1, True)
    return (x * torch.addcmul(eps, length, length, value=1 / x.shape[-1]).rsqrt_()).mul_(weight)
