"""The rule of scaled dot-product attention, for every kernel that computes it: softmax(QKᵀ/√K) V.

The kernels keep the output and the logarithm of each row's normaliser, and so do we: probabilities are made again, some
rows at a time, so that memory stays near one cache and work above the diagonal is left out.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from chainrule.base import LensError
from chainrule.lens.rules.notation import onward, wide
from chainrule.lens.rules.rule import Call, Formula, Gradients, Rule, unbroadcast

CHUNK = 1 << 20  # numbers in one piece of the T × S probabilities


@dataclass(frozen=True)
class Scores:
    """What becomes of QKᵀ before the softmax: times `scale`, plus `mask`, and where `causal` without later columns."""

    scale: float
    mask: Tensor | None
    causal: bool


def attention(call: Call, g: Tensor | None, g_lse: Tensor | None = None, *_: Tensor | None) -> Gradients:
    """Query heads that share a key head add up in its gradient. A row that is masked whole gets 0."""
    if call["dropout_p"]:
        raise LensError(
            f"{call.node.op} drew a dropout mask inside its kernel (dropout_p={call['dropout_p']}) and does not "
            "return it; "
            "record in eval mode, or under torch.nn.attention.sdpa_kernel(SDPBackend.MATH)"
        )
    q, k, v = (wide(call[name]).flatten(0, -3) for name in ("query", "key", "value"))
    y = wide(call.out).flatten(0, -3)
    g = torch.zeros_like(y) if g is None else wide(g).flatten(0, -3)
    repeats = q.shape[0] // k.shape[0]
    if repeats > 1:
        k, v = k.repeat_interleave(repeats, 0), v.repeat_interleave(repeats, 0)
    scale = call["scale"] if call["scale"] is not None else 1 / math.sqrt(q.shape[-1])
    scores = Scores(scale, _mask(call), call["is_causal"])
    # Σ G⊙Y is what a row of dS loses; the normaliser's own gradient adds to it.
    taken = (g * y).sum(-1, keepdim=True)
    if g_lse is not None:
        taken = taken - wide(g_lse).reshape(q.shape[0], -1)[:, : q.shape[1], None]
    found = _by_pieces(q, k, v, g, taken, scores)
    shapes = [call[name].shape for name in ("query", "key", "value")]
    parts = dict(zip(("query", "key", "value"), found[:3], strict=True))
    if repeats > 1:
        parts |= {name: parts[name].reshape(-1, repeats, *parts[name].shape[1:]).sum(1) for name in ("key", "value")}
    result = {name: parts[name].reshape(shape) for name, shape in zip(parts, shapes, strict=True)}
    name = _mask_name(call)
    if found[3] is not None and name is not None and call.needs(name):
        whole = found[3].reshape(*call["query"].shape[:-1], -1)
        result[name] = unbroadcast(whole, call[name].shape)
    return result


def _mask_name(call: Call) -> str | None:
    return next((name for name in ("attn_mask", "attn_bias") if name in call.node.arguments), None)


def _mask(call: Call) -> Tensor | None:
    """What is added to the scores, [B, H, T, S] without copies of what repeats, or None."""
    name = _mask_name(call)
    given = None if name is None else call[name]
    if given is None:
        return None
    if given.dtype == torch.bool:
        given = torch.zeros_like(given, dtype=call["query"].dtype).masked_fill_(~given, -math.inf)
    return wide(given).expand(*call["query"].shape[:-2], *given.shape[-2:])


def _by_pieces(
    q: Tensor, k: Tensor, v: Tensor, g: Tensor, taken: Tensor, scores: Scores
) -> tuple[Tensor, Tensor, Tensor, Tensor | None]:
    """Gradients by queries, keys, values and mask, some heads and some rows at a time."""
    heads, rows, columns = q.shape[0], q.shape[1], k.shape[1]
    by_q, by_k, by_v = torch.empty_like(q), torch.zeros_like(k), torch.zeros_like(v)
    by_mask = None if scores.mask is None else q.new_zeros(heads, rows, columns)
    n_heads = max(1, min(heads, CHUNK // (min(rows, 64) * columns)))
    n_rows = max(min(rows, 64), CHUNK // (n_heads * columns))
    for head in range(0, heads, n_heads):
        some = slice(head, head + n_heads)
        for row in range(0, rows, n_rows):
            last = min(row + n_rows, rows)
            here = (some, slice(row, last))
            seen = min(last, columns) if scores.causal else columns
            keys, values = k[some, :seen], v[some, :seen]
            p = _probabilities(torch.bmm(q[here], keys.mT), scores, some, row)
            by_v[some, :seen].baddbmm_(p.mT, g[here])
            by_scores = torch.bmm(g[here], values.mT).sub_(taken[here]).mul_(p)
            if by_mask is not None:
                by_mask[some, row:last, :seen] = by_scores
            by_scores.mul_(scores.scale)
            by_q[here] = torch.bmm(by_scores, keys)
            by_k[some, :seen].baddbmm_(by_scores.mT, q[here])
    return by_q, by_k, by_v, by_mask


def _probabilities(products: Tensor, scores: Scores, heads: slice, row: int) -> Tensor:
    """The softmax of some heads' rows from `row` on; a row that is masked whole is 0. `products` is written over."""
    n_heads, n_rows, seen = products.shape
    last, mask = row + n_rows, scores.mask
    products.mul_(scores.scale)
    if mask is not None:
        of_head = torch.arange(heads.start, heads.start + n_heads, device=products.device)
        places = (of_head // mask.shape[1], of_head % mask.shape[1])
        products.add_(mask[:, :, row:last, :seen][places])
    if scores.causal and row < seen:
        products[..., row:].masked_fill_(_later(row, last, seen, products.device), -math.inf)
    p = products.softmax(-1)
    if mask is not None:
        p.masked_fill_(products.amax(-1, keepdim=True) == -math.inf, 0)
    return p


def _later(row: int, last: int, seen: int, device: torch.device) -> Tensor:
    """True where a column comes after its row; all columns before `row` come before each of these rows."""
    return torch.arange(row, seen, device=device) > torch.arange(row, last, device=device)[:, None]


ATTENTION_RULE = Rule(
    attention,
    Formula("Y = P V, P = softmax(s QKᵀ + M)", r"Y = P V, \quad P = \operatorname{softmax}(s Q K^\top + M)"),
    {
        "query": onward(
            "Q",
            "s dS K, dS = P⊙(G Vᵀ − Σ G⊙Y)",
            r"s \, dS \, K, \quad dS = P \odot \left(G V^\top - \sum G \odot Y\right)",
        ),
        "key": onward("K", "s dSᵀ Q", r"s \, dS^\top Q"),
        "value": onward("V", "Pᵀ G", r"P^\top G"),
        "attn_mask": onward("M", "dS", "dS"),
        "attn_bias": onward("M", "dS", "dS"),
    },
    {"query": "Q", "key": "K", "value": "V", "attn_mask": "M", "attn_bias": "M", "scale": "s"},
)

ATTENTION: dict[str, Rule] = dict.fromkeys(
    (
        "_scaled_dot_product_flash_attention_for_cpu",
        "_scaled_dot_product_flash_attention",
        "_scaled_dot_product_efficient_attention",
        "_scaled_dot_product_cudnn_attention",
    ),
    ATTENTION_RULE,
)
