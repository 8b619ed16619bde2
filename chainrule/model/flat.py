"""The blocks of a model of Llama's kind written out for reading: the sums of `Block` in a third of the calls.

With one token a call costs more than its arithmetic: written with modules a block is some ninety calls of torch, and
thirty of them took more than half of the time of a token of SmolLM2-135M with weights of 4 bits.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

import torch
from jaxtyping import Bool, Complex, Float
from torch import Tensor, nn

from chainrule.model.attention import Attention, attend
from chainrule.model.block import Block
from chainrule.model.cache import KVCache
from chainrule.model.feed_forward import SwiGLUFeedForward
from chainrule.model.norm import RMSNorm
from chainrule.model.packed import joined, linear_of, rows_product
from chainrule.model.position import Rotation

Packer = Callable[[nn.Linear], nn.Module]
Product = Callable[[Tensor], Tensor]


class _Norm(NamedTuple):
    """x / √(|x|² + D eps) times √D weight: RMSNorm with its means taken out of the loop."""

    weight: Float[Tensor, " D"]
    eps: Float[Tensor, ""]


class _Layer(NamedTuple):
    """What a block is made of. Plain attributes: torch looks modules up in Python, a microsecond each."""

    attention_norm: _Norm
    qkv: Product
    out: Product
    feed_forward_norm: _Norm
    gate_and_up: Product
    down: Product


class FlatBlocks(nn.Module):
    """All `blocks` of a model as one, in float32 and without gradients; `packed` turns each linear layer into another.

    Queries, keys and values are one product, gate and up projection another. The two numbers of a head that turn
    together stand side by side (Su et al., arXiv 2104.09864, as it was first written), so that a rotation is one
    product of complex numbers: a cache that was filled by the blocks themselves is none for these.
    Raises TypeError for blocks that `can_be_flat` says are none.
    """

    def __init__(self, blocks: Iterable[nn.Module], packed: Packer = lambda linear: linear) -> None:
        super().__init__()
        offered = list(blocks)
        found = [block for block in offered if isinstance(block, Block) and can_be_flat(block)]
        if not found or len(found) != len(offered):
            raise TypeError("these blocks have other norms or another feed-forward layer or attention than Llama's")
        attention = found[0].attention
        self.n_heads, self.n_groups, self.head_dim = attention.n_heads, attention.n_kv_heads, attention.head_dim
        self.parts = nn.ModuleList()
        self._layers = [self._written_out(block, packed) for block in found]

    @torch.inference_mode()
    def forward(
        self,
        x: Float[Tensor, "B T D"],
        rotation: Rotation = None,
        mask: Bool[Tensor, "B 1 T S"] | None = None,
        cache: KVCache | None = None,
    ) -> Float[Tensor, "B T D"]:
        """The stream after the last block."""
        assert rotation is not None, "made for models that rotate"
        batch, length, width = x.shape
        turn, hidden = self._turn(rotation), None if mask is None else ~mask[:, 0]
        x = x.reshape(-1, width)
        for number, layer in enumerate(self._layers):
            q, k, v = self._heads(layer, x, (batch, length), turn)
            if cache is not None:
                k, v = cache.append(number, k, v)
            gathered = _looked_up(q, k, v, hidden) if length == 1 else attend(q, k, v, mask).transpose(1, 2)
            x = _finished(layer, x, gathered.reshape(len(x), -1))
        return x.view(batch, length, width)

    def each(self) -> list["FlatBlock"]:
        """The blocks one by one, for whoever attends in another way."""
        return [FlatBlock(self, number) for number in range(len(self._layers))]

    def heads_of(self, number: int, x: Float[Tensor, "B T D"], rotation: Rotation) -> tuple[Tensor, Tensor, Tensor]:
        """Queries, keys, values of a block, as `Block.heads` has them."""
        turn = torch.ones((), dtype=torch.complex64) if rotation is None else self._turn(rotation)
        return self._heads(self._layers[number], x.flatten(0, 1), x.shape[:2], turn)

    def finished_by(
        self, number: int, x: Float[Tensor, "B T D"], gathered: Float[Tensor, "B T W"]
    ) -> Float[Tensor, "B T D"]:
        """The stream after a block, as `Block.finished` has it."""
        return _finished(self._layers[number], x.flatten(0, 1), gathered.flatten(0, 1)).view(x.shape)

    def _heads(
        self, layer: _Layer, x: Float[Tensor, "N D"], shape: Sequence[int], turn: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        qkv = layer.qkv(_normalised(x, *layer.attention_norm)).float().view(torch.complex64)
        heads = (qkv.view(*shape, -1, self.head_dim // 2) * turn).view(torch.float32).transpose(1, 2)
        q = heads.narrow(1, 0, self.n_heads)
        k = heads.narrow(1, self.n_heads, self.n_groups)
        return q, k, heads.narrow(1, self.n_heads + self.n_groups, self.n_groups)

    def _turn(self, rotation: tuple[Tensor, Tensor]) -> Complex[Tensor, "*one T H half"]:
        """The rotation of each head of each place; that of a value is 1."""
        cosine, sine = (table[..., None, : self.head_dim // 2] for table in rotation)
        if cosine.dim() == 5:
            cosine, sine = cosine.squeeze(1), sine.squeeze(1)  # each row of the batch has places of its own
        turned = torch.complex(cosine, sine).expand(*cosine.shape[:-2], self.n_heads + self.n_groups, -1)
        return torch.cat((turned, torch.ones_like(turned[..., : self.n_groups, :])), -2)

    def _written_out(self, block: Block, packed: Packer) -> _Layer:
        attention, feed_forward = block.attention, block.feed_forward
        assert isinstance(feed_forward, SwiGLUFeedForward)
        linears = (
            _side_by_side(attention),
            attention.out,
            joined(feed_forward.gate, feed_forward.up),
            feed_forward.down,
        )
        layers = [packed(linear) for linear in linears]
        self.parts.extend(layers)
        qkv, out, gate_and_up, down = (rows_product(layer) for layer in layers)
        first, second = (_norm(norm) for norm in (block.attention_norm, block.feed_forward_norm))
        return _Layer(first, qkv, out, second, gate_and_up, down)


class FlatBlock(NamedTuple):
    """One of the blocks, with the two halves of `Block`: before attention and after it."""

    all: FlatBlocks
    number: int

    def heads(self, x: Float[Tensor, "B T D"], rotation: Rotation = None) -> tuple[Tensor, Tensor, Tensor]:
        """Queries, keys, values."""
        return self.all.heads_of(self.number, x, rotation)

    def finished(self, x: Float[Tensor, "B T D"], gathered: Float[Tensor, "B T W"]) -> Float[Tensor, "B T D"]:
        """The stream after this block, from what each place has gathered."""
        return self.all.finished_by(self.number, x, gathered)


def _finished(layer: _Layer, x: Float[Tensor, "N D"], gathered: Float[Tensor, "N W"]) -> Float[Tensor, "N D"]:
    x = x + layer.out(gathered)
    gate, up = layer.gate_and_up(_normalised(x, *layer.feed_forward_norm)).chunk(2, -1)
    return x + layer.down(nn.functional.silu(gate).mul_(up))


def can_be_flat(block: nn.Module) -> bool:
    """Whether it is Llama's: two RMSNorms in float32, queries and keys as they are, a gated feed-forward layer."""
    return (
        isinstance(block, Block)
        and all(
            isinstance(norm, RMSNorm) and norm.weight.dtype == torch.float32
            for norm in (block.attention_norm, block.feed_forward_norm)
        )
        and isinstance(block.feed_forward, SwiGLUFeedForward)
        and block.attention.q_norm is None
    )


def _looked_up(
    q: Float[Tensor, "B H 1 K"],
    k: Float[Tensor, "B G S K"],
    v: Float[Tensor, "B G S K"],
    hidden: Bool[Tensor, "B 1 S"] | None,
) -> Float[Tensor, "BG each K"]:
    """Attention of one query of each text by two products, the heads that share keys as rows of one.

    Of 80 keys 12 to 15 µs, where the fused kernel took 25 with one thread and 40 with two.
    """
    batch, n_groups, _, width = k.shape
    each = q.shape[1] // n_groups
    queries = q.reshape(batch * n_groups, each, width) * width**-0.5
    scores = torch.bmm(queries, k.flatten(0, 1).transpose(1, 2))
    if hidden is not None:
        scores.view(batch, n_groups * each, -1).masked_fill_(hidden, -torch.inf)
    return torch.bmm(scores.softmax(-1), v.flatten(0, 1))


def _side_by_side(attention: Attention) -> nn.Linear:
    """The projection whose queries and keys have component `i` followed by `i + K/2`."""
    qkv, width = attention.qkv, attention.head_dim
    order = torch.arange(qkv.out_features).view(-1, width)
    n_turned = attention.n_heads + attention.n_kv_heads
    order[:n_turned] = order[:n_turned].view(n_turned, 2, -1).transpose(1, 2).reshape(n_turned, width)
    rows = order.flatten()
    return linear_of(qkv.weight[rows], None if qkv.bias is None else qkv.bias[rows])


def _norm(norm: nn.Module) -> _Norm:
    assert isinstance(norm, RMSNorm)
    width = len(norm.weight)
    return _Norm(norm.weight.detach() * math.sqrt(width), torch.tensor(math.sqrt(width * norm.eps)))


def _normalised(x: Float[Tensor, "N D"], weight: Float[Tensor, " D"], eps: Float[Tensor, ""]) -> Tensor:
    """RMSNorm in four calls; torch's own, a composite on the CPU, takes 15 to 26 µs."""
    return (x / torch.hypot(torch.linalg.vector_norm(x, 2, -1, True), eps)).mul_(weight)
