"""Rules of operations that look numbers up by index: what was read from many places is given back to each."""

import torch
from torch import Tensor

from chainrule.lens.rules.notation import onward
from chainrule.lens.rules.rule import Call, Formula, Gradients, Rule


def embedding(call: Call, g: Tensor) -> Gradients:
    """`y` = W[ids]: a row receives the sum over its uses; the padding row nothing."""
    weight, ids = call["weight"], call["indices"].flatten()
    rows = g.reshape(len(ids), -1)
    if call["scale_grad_by_freq"]:
        rows = rows / ids.bincount(minlength=len(weight))[ids].unsqueeze(1)
    padding = call["padding_idx"]
    if padding >= 0:
        rows = rows.masked_fill((ids == padding).unsqueeze(1), 0)
    return {"weight": g.new_zeros(weight.shape).index_add_(0, ids, rows)}


def embedding_bag(call: Call, g: Tensor, *_: Tensor | None) -> Gradients:
    """`yᵦ` is the sum, mean or elementwise largest of the rows in bag b."""
    weight, ids, mode = call["weight"], call["indices"], call["mode"]
    if mode == LARGEST:
        return {"weight": g.new_zeros(weight.shape).scatter_add_(0, call.output(3).clamp(min=0).long(), g)}
    starts = call["offsets"][:-1] if call["include_last_offset"] else call["offsets"]
    bags = torch.bucketize(torch.arange(len(ids), device=g.device), starts, right=True) - 1
    counted = (ids != call["padding_idx"]).to(g.dtype)
    shares = counted
    if mode == MEAN:
        shares = counted / g.new_zeros(len(g)).index_add_(0, bags, counted).clamp(min=1)[bags]
    rows = g[bags] * shares.unsqueeze(1)
    factors = call["per_sample_weights"]
    found = {} if factors is None else {"per_sample_weights": (rows * weight[ids]).sum(1)}
    rows = rows if factors is None else rows * factors.unsqueeze(1)
    if call["scale_grad_by_freq"]:
        rows = rows / ids.bincount(minlength=len(weight))[ids].unsqueeze(1)
    return {"weight": g.new_zeros(weight.shape).index_add_(0, ids, rows), **found}


def index(call: Call, g: Tensor) -> Gradients:
    """`y` = x[i, j, …]: an element that was read twice receives twice."""
    whole = g.new_zeros(call["self"].shape)
    return {"self": torch.ops.aten.index_put(whole, call["indices"], g, accumulate=True)}


def index_select(call: Call, g: Tensor) -> Gradients:
    """`y` = x's rows by number: a row that was read twice receives twice."""
    x = call["self"]
    if x.dim() == 0:
        return {"self": g.sum()}
    return {"self": g.new_zeros(x.shape).index_add_(call["dim"], call["index"].flatten(), g)}


def take(call: Call, g: Tensor) -> Gradients:
    """`y` = x's elements by number, counted through all rows."""
    x, ids = call["self"], call["index"].flatten()
    ids = torch.where(ids < 0, ids + x.numel(), ids)
    return {"self": g.new_zeros(x.numel()).index_add_(0, ids, g.flatten()).reshape(x.shape)}


def gather(call: Call, g: Tensor) -> Gradients:
    """`y` picks one number per place along an axis; it receives from each place that picked it."""
    return {"self": g.new_zeros(call["self"].shape).scatter_add_(call["dim"], call["index"], g)}


def index_add(call: Call, g: Tensor) -> Gradients:
    """`y` = x with α·s added to the rows at i."""
    return {"self": g, "source": g.index_select(call["dim"], call["index"]) * call["alpha"]}


def scatter_add(call: Call, g: Tensor) -> Gradients:
    """`y` = x with s added at the places i."""
    return {"self": g, "src": given_back(call, g)}


def given_back(call: Call, g: Tensor) -> Tensor:
    """The gradient of what `scatter` wrote; of a source larger than the index only a corner was used."""
    source, index = call["src"], call["index"]
    found = g.gather(call["dim"], index)
    if source.shape == index.shape:
        return found
    whole = g.new_zeros(source.shape)
    whole[tuple(slice(n) for n in index.shape)] = found
    return whole


MEAN, LARGEST = 1, 2  # modes of _embedding_bag; 0 is the sum

INDEX: dict[str, Rule] = {
    "embedding": Rule(
        embedding,
        Formula("y = W[i]", "y = W_i"),
        {"weight": onward("W", "Σ g, over the uses of each row; 0 for padding", r"\sum_{t:\, i_t = k} g_t")},
        {"weight": "W", "indices": "i"},
    ),
    "_embedding_bag": Rule(
        embedding_bag,
        Formula("yᵦ = Σₜ sₜ·W[iₜ], over bag b", r"y_b = \sum_{t \in b} s_t W_{i_t}"),
        {
            "weight": onward("W", "Σ sₜ·g, over the uses of each row", r"\sum_{t:\, i_t = k} s_t g_{b(t)}"),
            "per_sample_weights": onward("s", "g·W[i]", r"g_{b(t)} \cdot W_{i_t}"),
        },
        {"weight": "W", "indices": "i", "per_sample_weights": "s"},
    ),
    **dict.fromkeys(
        ("index", "_unsafe_index"),
        Rule(
            index,
            Formula("y = x[i]", "y = x_i"),
            {"self": onward("x", "Σ g, over the uses of each element", r"\sum_{t:\, i_t = k} g_t")},
            {"self": "x", "indices": "i"},
        ),
    ),
    "index_select": Rule(
        index_select,
        Formula("y = x[i], row by row", "y = x_i"),
        {"self": onward("x", "Σ g, over the uses of each row", r"\sum_{t:\, i_t = k} g_t")},
        {"self": "x", "index": "i"},
    ),
    "take": Rule(
        take,
        Formula("y = flat(x)[i]", r"y = \operatorname{flat}(x)_i"),
        {"self": onward("x", "Σ g, over the uses of each element", r"\sum_{t:\, i_t = k} g_t")},
        {"self": "x", "index": "i"},
    ),
    "gather": Rule(
        gather,
        Formula("yₜ = x[t, iₜ]", "y_t = x_{t, i_t}"),
        {"self": onward("x", "gₜ at (t, iₜ), 0 elsewhere", r"g_t \text{ at } (t, i_t), 0 \text{ elsewhere}")},
        {"self": "x", "index": "i"},
    ),
    "index_add": Rule(
        index_add,
        Formula("y = x, y[i] += α·s", r"y = x, \; y_i \mathrel{+}= \alpha s"),
        {"self": onward("x", "g", "g"), "source": onward("s", "α·g[i]", r"\alpha g_i")},
        {"self": "x", "source": "s", "index": "i"},
    ),
    "scatter_add": Rule(
        scatter_add,
        Formula("y = x, y[i] += s", r"y = x, \; y_i \mathrel{+}= s"),
        {"self": onward("x", "g", "g"), "src": onward("s", "g[i]", "g_i")},
        {"self": "x", "src": "s", "index": "i"},
    ),
}
