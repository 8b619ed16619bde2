"""Blocks whose matrices lie on several processes (Megatron: Shoeybi et al., arXiv 1909.08053), from outside the model.

Between these matrices the text lies on the processes in stretches (sequence parallel: Korthikanti et al., arXiv
2205.05198), always: so every parameter is a DTensor, and what is norm and residual is computed once. The table of
tokens, the places and the head lie in parts too, and are whole for the moment in which they are used.
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.distributed.device_mesh import DeviceMesh
from torch.distributed.tensor import Replicate, Shard, distribute_tensor
from torch.distributed.tensor.parallel import (
    ColwiseParallel,
    ParallelStyle,
    PrepareModuleInput,
    RowwiseParallel,
    SequenceParallel,
    parallelize_module,
)

from chainrule.model import GPT

TEXT, HEADS = 1, 1  # the dimension of [B, T, D] and the one of [B, H, T, K] that is cut


class Stacked(nn.Module):
    """Queries, keys and values by a linear layer each, in the place of one whose rows are stacked.

    A part of stacked rows would have all queries and no keys; a part of each has all that its heads need.
    """

    def __init__(self, stacked: nn.Linear, rows: tuple[int, int, int]) -> None:
        super().__init__()
        width, bias = stacked.in_features, stacked.bias is not None
        device, dtype = stacked.weight.device, stacked.weight.dtype
        self.q, self.k, self.v = (nn.Linear(width, n, bias=bias, device=device, dtype=dtype) for n in rows)

    def forward(self, x: Tensor) -> Tensor:
        """As the stacked layer would give it, of the heads of this process."""
        return torch.cat((self.q(x), self.k(x), self.v(x)), dim=-1)


def in_parts(model: GPT, mesh: DeviceMesh) -> None:
    """Lays the model, which may be without memory, on the processes of the mesh; heads and widths must divide."""
    n = mesh.size()
    for block in model.blocks:
        attention: Any = block.attention
        queries, others = (heads * attention.head_dim for heads in (attention.n_heads, attention.n_kv_heads))
        attention.qkv = Stacked(attention.qkv, (queries, others, others))
        attention.n_heads, attention.n_kv_heads = attention.n_heads // n, attention.n_kv_heads // n
        parallelize_module(block, mesh, _plan(block), src_data_rank=None)
    parallelize_module(model.final_norm, mesh, SequenceParallel(use_local_output=True))
    tables: tuple[Any, ...] = (model.token_embedding, model.position_embedding, model.head)
    for table in tables:
        if getattr(table, "weight", None) is not None:
            lies = Replicate() if len(table.weight) % n else Shard(0)  # FSDP2 on top takes even parts alone
            table.weight = nn.Parameter(distribute_tensor(table.weight, mesh, [lies], src_data_rank=None))


def _plan(block: Any) -> dict[str, ParallelStyle]:
    """How each part of a block lies: x is gathered once for all that reads it, and comes back in stretches."""
    gather = PrepareModuleInput(input_layouts=(Shard(TEXT),), desired_input_layouts=(Replicate(),))
    back = RowwiseParallel(output_layouts=Shard(TEXT))
    readers = ("gate", "up") if hasattr(block.feed_forward, "gate") else ("up",)
    plan: dict[str, ParallelStyle] = {
        "attention_norm": SequenceParallel(),
        "attention.qkv": gather,
        **{f"attention.qkv.{name}": ColwiseParallel() for name in "qkv"},
        "attention.out": back,
        "feed_forward_norm": SequenceParallel(),
        "feed_forward": gather,
        **{f"feed_forward.{name}": ColwiseParallel() for name in readers},
        "feed_forward.down": back,
    }
    if block.attention.q_norm is not None:
        for name in ("q_norm", "k_norm"):
            plan[f"attention.{name}"] = SequenceParallel(sequence_dim=HEADS, use_local_output=True)
    return plan
