"""Where each head looks: the spread of its attention and its largest logit, recomputed from queries and keys."""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from chainrule.health.module_stack import ModuleStack

# Rows of the attention matrix that are recomputed: enough for a mean, and T / 64 of the cost of all.
ROWS = 64
Heads = Float[Tensor, " H+1"]


class AttentionWatch(TorchFunctionMode):
    """Notes the queries and keys of every `scaled_dot_product_attention` inside the block.

    That one function is what PyTorch's models attend with, whatever their modules are called; attention that is
    written out in matrix products is not seen.
    """

    def __init__(self, stack: ModuleStack) -> None:
        super().__init__()
        self.stack = stack
        self.found: dict[str, Tensor] = {}

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        given = dict(kwargs or {})
        if func is nn.functional.scaled_dot_product_attention:
            names = ("query", "key", "value", "attn_mask", "dropout_p", "is_causal", "scale")
            call = {**dict(zip(names, args, strict=False)), **given}
            self.found[self.stack.here[0]] = head_health(
                call["query"],
                call["key"],
                mask=call.get("attn_mask"),
                causal=bool(call.get("is_causal")),
                scale=call.get("scale"),
            )
        return func(*args, **given)


@contextmanager
def watch_attention(model: nn.Module) -> Iterator[dict[str, Tensor]]:
    """Fills a dictionary, by module path, with what `head_health` says of each attention inside the block."""
    stack = ModuleStack(model)
    with stack.following(), AttentionWatch(stack) as watch:
        yield watch.found


@torch.no_grad()
def head_health(
    q: Float[Tensor, "B H T K"],
    k: Float[Tensor, "B G S K"],
    *,
    mask: Tensor | None = None,
    causal: bool = False,
    scale: float | None = None,
) -> Heads:
    """The normalised entropy of each head, then the largest logit of all heads, over at most 64 evenly spread rows.

    The entropy of a row is divided by that of looking everywhere it may: 0 is one place, 1 all places alike. Rows that
    may look at one place only tell nothing and are left out; NaN where no row is left.
    """
    if k.shape[1] != q.shape[1]:
        k = k.repeat_interleave(q.shape[1] // k.shape[1], dim=1)
    n_rows, n_keys = q.shape[2], k.shape[2]
    count = min(ROWS, n_rows)
    rows = torch.arange(1, count + 1, device=q.device) * n_rows // count - 1
    logits = q[:, :, rows].float() @ k.float().mT * (scale or 1 / math.sqrt(q.shape[-1]))
    seen = torch.ones(count, n_keys, dtype=torch.bool, device=q.device)
    if causal:
        seen = torch.arange(n_keys, device=q.device) <= rows[:, None]
    if mask is not None:
        part = mask.expand(*mask.shape[:-2], n_rows, n_keys)[..., rows, :]
        seen = seen & (part if part.dtype == torch.bool else part > -math.inf)
        logits = logits if part.dtype == torch.bool else logits + part
    seen = seen.expand_as(logits)
    weights = torch.softmax(logits.masked_fill(~seen, -math.inf), dim=-1)
    entropy = torch.special.entr(weights.masked_fill(~seen, 0.0)).sum(-1)
    widest = seen.sum(-1).float().log()
    counted = widest > 0
    share = torch.where(counted, entropy / widest.clamp(min=1e-9), 0.0)
    by_head = share.sum((0, 2)) / counted.sum((0, 2))
    largest = logits.abs().masked_fill(~seen, 0.0).amax()
    return torch.cat((by_head, largest[None]))
