"""Rules of operations that write into a tensor or choose between two: what is overwritten receives nothing."""

import torch
from torch import Tensor

from chainrule.base import LensError
from chainrule.lens.rules.index import given_back
from chainrule.lens.rules.notation import onward
from chainrule.lens.rules.rule import Call, Formula, Gradients, Rule, unbroadcast
from chainrule.lens.rules.shape import X
from chainrule.lens.tape import places


def write_through(call: Call, g: Tensor) -> Gradients:
    """`y` is x after another tensor of the same storage was written to: there its numbers are those of the write."""
    x, written = (call.tape.values[call.node.arguments[name].value] for name in ("self", "written"))
    shape, stride, offset = call.node.arguments["place"]
    if x.meta.dtype.itemsize != written.meta.dtype.itemsize:
        raise LensError(f"{x.name} and {written.name} share memory in types of different size, {call.node.site}")
    if (shape, stride, offset) == (x.meta.shape, x.meta.stride, x.meta.offset):
        return {"self": torch.zeros_like(g), "written": g}
    here = places(x.meta.shape, x.meta.stride, x.meta.offset, g.device)
    there = places(shape, stride, offset, g.device)
    length = 1 + max((int(index.max()) for index in (here, there) if index.numel()), default=-1)
    overwritten = torch.zeros(length, dtype=torch.bool, device=g.device)
    overwritten[there.flatten()] = True
    received = g.new_zeros(length).index_add_(0, here.flatten(), g.flatten())
    return {"self": g.masked_fill(overwritten[here], 0), "written": received[there]}


def unseen_write(_call: Call, g: Tensor) -> Gradients:
    """A write that autograd does not see: the gradient passes as though x had held y from the start."""
    return {"self": g}


def copy(call: Call, g: Tensor) -> Gradients:
    """`x` is overwritten with s."""
    return {"self": torch.zeros_like(g), "src": unbroadcast(g, call["src"].shape).to(call["src"].device)}


def fill(call: Call, g: Tensor) -> Gradients:
    """`x` is overwritten with one number."""
    return {"self": torch.zeros_like(g), "value": g.sum()}


def zero(_call: Call, g: Tensor) -> Gradients:
    """`x` is overwritten with zeros."""
    return {"self": torch.zeros_like(g)}


def masked_fill(call: Call, g: Tensor) -> Gradients:
    """`y` is v where the mask is true, x elsewhere."""
    mask = call["mask"]
    return {"self": unbroadcast(g.masked_fill(mask, 0), call["self"].shape), "value": torch.where(mask, g, 0).sum()}


def where(call: Call, g: Tensor) -> Gradients:
    """`y` is a where the condition holds, b elsewhere."""
    chosen, found = call["condition"], {}
    if call.needs("self"):
        found["self"] = unbroadcast(torch.where(chosen, g, 0), call["self"].shape)
    if call.needs("other"):
        found["other"] = unbroadcast(torch.where(chosen, 0, g), call["other"].shape)
    return found


def masked_scatter(call: Call, g: Tensor) -> Gradients:
    """`y` has s's numbers, one after the other, where the mask is true."""
    mask, source = call["mask"], call["source"]
    taken = g.masked_select(mask)
    flat = g.new_zeros(source.numel())
    flat[: len(taken)] = taken
    return {"self": unbroadcast(g.masked_fill(mask, 0), call["self"].shape), "source": flat.reshape(source.shape)}


def index_put(call: Call, g: Tensor) -> Gradients:
    """`y` = x with y[i] = v, or += v; of a place written twice, all that was written receives."""
    indices = call["indices"]
    kept = g if call["accumulate"] else torch.ops.aten.index_put(g, indices, g.new_zeros(()))
    return {"self": kept, "values": unbroadcast(torch.ops.aten.index(g, indices), call["values"].shape)}


def index_copy(call: Call, g: Tensor) -> Gradients:
    """`y` = x with the rows at i replaced by s's."""
    dim, index = call["dim"], call["index"]
    return {"self": g.index_fill(dim, index, 0), "source": g.index_select(dim, index).reshape(call["source"].shape)}


def index_fill(call: Call, g: Tensor) -> Gradients:
    """`y` = x with one number in the rows at i."""
    dim, index = call["dim"], call["index"]
    return {"self": g.index_fill(dim, index, 0), "value": g.index_select(dim, index.unique()).sum()}


def scatter(call: Call, g: Tensor) -> Gradients:
    """`y` = x with s at the places i."""
    if call.get("reduce") is not None:
        raise LensError(f"no rule for scatter with reduce={call['reduce']!r}; use scatter_add")
    found = {"self": g.scatter(call["dim"], call["index"], 0)}
    return found | {"src": given_back(call, g)} if "src" in call.node.arguments else found


def slice_scatter(call: Call, g: Tensor) -> Gradients:
    """`y` = x with x[start:end:step] replaced by s."""
    kept = g.clone()
    there = torch.ops.aten.slice(kept, call["dim"], call["start"], call["end"], call["step"])
    given = there.clone()
    there.zero_()
    return {"self": kept, "src": given}


def select_scatter(call: Call, g: Tensor) -> Gradients:
    """`y` = x with x[i] replaced by s."""
    kept = g.clone()
    there = kept.select(call["dim"], call["index"])
    given = there.clone()
    there.zero_()
    return {"self": kept, "src": given}


XS = {"self": "x", "src": "s"}
KEPT = onward("x", "g, 0 where it was overwritten", r"g, 0 \text{ where overwritten}")
GONE = onward("x", "0", "0")
PUT = Rule(
    index_put,
    Formula("y = x, y[i] = v", "y = x, \\; y_i = v"),
    {"self": KEPT, "values": onward("v", "g[i]", "g_i")},
    {"self": "x", "indices": "i", "values": "v"},
)

WRITE: dict[str, Rule] = {
    "write_through": Rule(
        write_through,
        Formula("y = x, with w where memory is shared", r"y = x, \; y_{\text{shared}} = w"),
        {"self": KEPT, "written": onward("w", "g where memory is shared", r"g_{\text{shared}}")},
        {"self": "x", "written": "w"},
    ),
    "unseen_write": Rule(
        unseen_write,
        Formula("y = x, overwritten unseen by autograd", "y := x"),
        {"self": onward("x", "g, as autograd has it", "g")},
        X,
    ),
    "copy": Rule(copy, Formula("y = s", "y = s"), {"self": GONE, "src": onward("s", "g", "g")}, XS),
    "fill": Rule(
        fill,
        Formula("y = v", "y = v"),
        {"self": GONE, "value": onward("v", "Σ g", r"\sum g")},
        {"self": "x", "value": "v"},
    ),
    "zero": Rule(zero, Formula("y = 0", "y = 0"), {"self": GONE}, X),
    "masked_fill": Rule(
        masked_fill,
        Formula("y = v where m, x elsewhere", r"y = m\,v + (1 - m)\,x"),
        {
            "self": onward("x", "g where not m, 0 elsewhere", r"(1 - m)\,g"),
            "value": onward("v", "Σ g, where m", r"\sum m\,g"),
        },
        {"self": "x", "mask": "m", "value": "v"},
    ),
    "where": Rule(
        where,
        Formula("y = a where c, b elsewhere", r"y = c\,a + (1 - c)\,b"),
        {"self": onward("a", "g where c", r"c\,g"), "other": onward("b", "g where not c", r"(1 - c)\,g")},
        {"condition": "c", "self": "a", "other": "b"},
    ),
    "masked_scatter": Rule(
        masked_scatter,
        Formula("y = x, y[m] = s", "y = x, \\; y_m = s"),
        {"self": KEPT, "source": onward("s", "g[m]", "g_m")},
        {"self": "x", "mask": "m", "source": "s"},
    ),
    **dict.fromkeys(("index_put", "_index_put_impl", "_unsafe_index_put"), PUT),
    "index_copy": Rule(
        index_copy,
        Formula("y = x, y[i] = s", "y = x, \\; y_i = s"),
        {"self": KEPT, "source": onward("s", "g[i]", "g_i")},
        {"self": "x", "index": "i", "source": "s"},
    ),
    "index_fill": Rule(
        index_fill,
        Formula("y = x, y[i] = v", "y = x, \\; y_i = v"),
        {"self": KEPT, "value": onward("v", "Σ g[i]", r"\sum g_i")},
        {"self": "x", "index": "i", "value": "v"},
    ),
    "scatter": Rule(
        scatter,
        Formula("y = x, y[i] = s", "y = x, \\; y_i = s"),
        {"self": KEPT, "src": onward("s", "g[i]", "g_i")},
        XS | {"index": "i"},
    ),
    "slice_scatter": Rule(
        slice_scatter,
        Formula("y = x, y[a:b] = s", "y = x, \\; y_{a:b} = s"),
        {"self": KEPT, "src": onward("s", "g[a:b]", "g_{a:b}")},
        XS,
    ),
    "select_scatter": Rule(
        select_scatter,
        Formula("y = x, y[i] = s", "y = x, \\; y_i = s"),
        {"self": KEPT, "src": onward("s", "g[i]", "g_i")},
        XS,
    ),
}
