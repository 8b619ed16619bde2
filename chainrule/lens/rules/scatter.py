"""Rules of reductions into places that an index names: sums, means, products, largest and smallest of groups."""

from dataclasses import dataclass

import torch
from torch import Tensor

from chainrule.base import LensError
from chainrule.lens.rules.notation import onward
from chainrule.lens.rules.rule import Call, Formula, Gradients, Rule

LARGEST = {"amax", "max"}
SMALLEST = {"amin", "min"}


@dataclass(frozen=True)
class Groups:
    """Members and the group that each belongs to, along one axis; `own` is what a group begins with, if it counts.

    `index` has the shape of `members`. `counts` says where the group's own number is one of what is reduced.
    """

    own: Tensor
    members: Tensor
    index: Tensor
    dim: int
    counts: Tensor

    def sum(self, of_own: Tensor, of_members: Tensor) -> Tensor:
        """The sum over each group of numbers for its members and for its own."""
        return torch.where(self.counts, of_own, 0).scatter_add(self.dim, self.index, of_members)

    def to_members(self, of_groups: Tensor) -> Tensor:
        """For each member what stands at its group."""
        return of_groups.gather(self.dim, self.index)

    def gradients(self, how: str, y: Tensor, g: Tensor) -> tuple[Tensor, Tensor]:
        """By the groups' own numbers and by the members."""
        if how == "sum":
            own, members = g, self.to_members(g)
        elif how == "mean":
            part = g / self.sum(torch.ones_like(self.own), torch.ones_like(self.members)).clamp(min=1)
            own, members = part, self.to_members(part)
        elif how == "prod":
            own, members = self._by_factors(g)
        elif how in LARGEST | SMALLEST:
            reached = self.members == self.to_members(y)
            part = g / self.sum((self.own == y).to(g.dtype), reached.to(g.dtype)).clamp(min=1)
            own, members = part * (self.own == y), self.to_members(part) * reached
        else:
            raise LensError(f"no rule for reduce={how!r}; known are sum, mean, prod, amax, amin")
        return torch.where(self.counts, own, 0), members

    def _by_factors(self, g: Tensor) -> tuple[Tensor, Tensor]:
        """The product of all other factors: without zeros by division, beside one zero only the zero's is not 0."""
        own, members = ((x == 0) for x in (self.own, self.members))
        zeros = self.sum(own.to(g.dtype), members.to(g.dtype))
        start = torch.where(self.counts & ~own, self.own, 1)
        product = start.scatter_reduce(self.dim, self.index, torch.where(members, 1, self.members), "prod")
        others = [
            torch.where(zero, (n == 1) * p, (n == 0) * p / torch.where(zero, 1, x))
            for x, zero, n, p in (
                (self.own, own, zeros, product),
                (self.members, members, self.to_members(zeros), self.to_members(product)),
            )
        ]
        return g * others[0], self.to_members(g) * others[1]


def _counted(own: Tensor, dim: int, index: Tensor, *, include: bool) -> Tensor:
    """Where a group's own number counts: everywhere, or only where nothing was scattered to."""
    if include:
        return torch.ones_like(own, dtype=torch.bool)
    return torch.ones_like(own, dtype=torch.bool).scatter(dim, index, False)


def scatter_reduce(call: Call, g: Tensor) -> Gradients:
    """Equal largest or smallest ones share. Of a source larger than the index only a corner was used."""
    own, source, index, dim = call["self"], call["src"], call["index"], call["dim"]
    if own.dim() == 0:
        own, source, index, g, y = (x.reshape(1) for x in (own, source, index, g, call.out))
    else:
        y = call.out
    corner = tuple(slice(n) for n in index.shape)
    groups = Groups(own, source[corner], index, dim, _counted(own, dim, index, include=call["include_self"]))
    by_own, by_members = groups.gradients(call["reduce"], y, g)
    whole = torch.zeros_like(source)
    whole[corner] = by_members
    return {"self": by_own.reshape(call["self"].shape), "src": whole.reshape(call["src"].shape)}


def index_reduce(call: Call, g: Tensor) -> Gradients:
    """The same, where the index names whole rows."""
    own, source, dim = call["self"], call["source"], call["dim"]
    shape = [-1 if axis == dim % source.dim() else 1 for axis in range(source.dim())]
    index = call["index"].reshape(shape).expand_as(source)
    groups = Groups(own, source, index, dim, _counted(own, dim, index, include=call["include_self"]))
    by_own, by_members = groups.gradients(call["reduce"], call.out, g)
    return {"self": by_own, "source": by_members}


def segment_reduce(call: Call, g: Tensor) -> Gradients:
    """Pieces of an axis, one after the other; `initial`, if given, is one of what is reduced."""
    data, axis, y = call["data"], call["axis"], call.out
    lengths = call["lengths"]
    ends = call["offsets"][..., 1:] if lengths is None else lengths.cumsum(-1)
    places = torch.arange(data.shape[axis], device=g.device).expand(*ends.shape[:-1], -1).contiguous()
    segment = torch.searchsorted(ends.contiguous(), places, right=True)
    rest = data.dim() - axis - 1
    inside = (segment < ends.shape[-1]).reshape(*segment.shape, *[1] * rest)
    index = segment.clamp(max=max(ends.shape[-1] - 1, 0)).reshape(*segment.shape, *[1] * rest).expand_as(data)
    initial, how = call["initial"], call["reduce"]
    neutral = {"prod": 1.0, "max": -torch.inf, "min": torch.inf}.get(how, 0.0)
    counts = torch.full_like(y, initial is not None and how != "mean", dtype=torch.bool)
    groups = Groups(torch.full_like(y, neutral if initial is None else initial), data, index, axis, counts)
    return {"data": groups.gradients(how, y, g)[1] * inside}


def masked_select(call: Call, g: Tensor) -> Gradients:
    """`y` has the elements where the mask is true, one after the other; the others receive nothing."""
    x, mask = call["self"], call["mask"]
    shape = torch.broadcast_shapes(x.shape, mask.shape)
    whole = g.new_zeros(shape).masked_scatter(mask.expand(shape), g)
    return {"self": _summed(whole, x)}


def _summed(whole: Tensor, x: Tensor) -> Tensor:
    extra = whole.dim() - x.dim()
    axes = [*range(extra), *(extra + i for i, n in enumerate(x.shape) if n == 1 and whole.shape[extra + i] != 1)]
    return whole.sum(axes, keepdim=True).reshape(x.shape) if axes else whole


def diagonal_scatter(call: Call, g: Tensor) -> Gradients:
    """`y` is x with a diagonal overwritten by s."""
    where = (call["offset"], call["dim1"], call["dim2"])
    rest = g.clone()
    rest.diagonal(*where).zero_()
    return {"self": rest, "src": g.diagonal(*where)}


def put(call: Call, g: Tensor) -> Gradients:
    """`y` is x with s's numbers at the places i, counted through all rows; added to what is there, or in its place."""
    index = call["index"]
    rest = g if call["accumulate"] else g.put(index, torch.zeros_like(call["source"]))
    return {"self": rest, "source": g.take(index).reshape(call["source"].shape)}


def strided_scatter(call: Call, g: Tensor) -> Gradients:
    """`y` is x with the elements at offset + i·stride overwritten by s."""
    where = (call["size"], call["stride"], call["storage_offset"])
    rest = g.clone(memory_format=torch.contiguous_format)
    rest.as_strided(*where).zero_()
    return {"self": rest, "src": g.contiguous().as_strided(*where)}


def masked_index(call: Call, g: Tensor) -> Gradients:
    """`y` = x[i, j, …] where the mask holds, a number elsewhere."""
    kept = g.masked_fill(~call["mask"], 0)
    whole = g.new_zeros(call["self"].shape)
    return {"self": torch.ops.aten._unsafe_index_put(whole, _inside(call), kept, True)}


def masked_index_added(call: Call, g: Tensor) -> Gradients:
    """`y` = x, y[i, j, …] += s where the mask holds."""
    read = torch.ops.aten._unsafe_index(g, _inside(call)).masked_fill(~call["mask"], 0)
    return {"self": g, "values": read.expand_as(call["values"])}


def _inside(call: Call) -> list[Tensor | None]:
    """The indices held inside, since those under the mask may lie anywhere."""
    shape = call["self"].shape
    return [None if i is None else i.clamp(0, n - 1) for i, n in zip(call["indices"], shape, strict=False)]


def block_diagonal(call: Call, g: Tensor) -> Gradients:
    """`y` has the matrices one after the other on its diagonal; each receives its own block."""
    found, row, column = [], 0, 0
    for x in call["tensors"]:
        shape = x.shape if x.dim() == 2 else (1, x.numel())
        found.append(g[row : row + shape[0], column : column + shape[1]].reshape(x.shape))
        row, column = row + shape[0], column + shape[1]
    return {"tensors": found}


def channel_shuffle(call: Call, g: Tensor) -> Gradients:
    """`y` has the channels of the groups dealt out in turn; the gradient is dealt back."""
    n_channels = g.shape[1]
    return {"self": torch.channel_shuffle(g, n_channels // call["groups"])}


GROUPS = {
    "self": onward("x", "g·∂r/∂x, r the reduction of x and its s", r"g \frac{\partial r}{\partial x}"),
    "source": onward(
        "s", "g[i]·∂r/∂s: 1, 1/n, Π of the others, or the share of the largest", r"g_i \frac{\partial r}{\partial s}"
    ),
}

SCATTER: dict[str, Rule] = {
    "masked_select": Rule(
        masked_select,
        Formula("y = x where m", r"y = x_{m}"),
        {"self": onward("x", "g where m, 0 elsewhere", r"g \text{ where } m, 0 \text{ elsewhere}")},
        {"self": "x", "mask": "m"},
    ),
    "scatter_reduce": Rule(
        scatter_reduce,
        Formula("y[k] = r(x[k], s where i = k)", r"y_k = r(x_k, \{s_j : i_j = k\})"),
        {"self": GROUPS["self"], "src": GROUPS["source"]},
        {"self": "x", "src": "s", "index": "i"},
    ),
    "index_reduce": Rule(
        index_reduce,
        Formula("y[k] = r(x[k], s where i = k), row by row", r"y_k = r(x_k, \{s_j : i_j = k\})"),
        GROUPS,
        {"self": "x", "source": "s", "index": "i"},
    ),
    "segment_reduce": Rule(
        segment_reduce,
        Formula("y[k] = r(x in piece k)", r"y_k = r(\{x_j : j \in \text{piece } k\})"),
        {"data": onward("x", "g[k]·∂r/∂x", r"g_k \frac{\partial r}{\partial x}")},
        {"data": "x"},
    ),
    "diagonal_scatter": Rule(
        diagonal_scatter,
        Formula("y = x, yᵢᵢ = sᵢ", r"y = x, \; y_{ii} = s_i"),
        {
            "self": onward("x", "g, 0 on the diagonal", r"g, \; 0 \text{ on the diagonal}"),
            "src": onward("s", "gᵢᵢ", "g_{ii}"),
        },
        {"self": "x", "src": "s"},
    ),
    "as_strided_scatter": Rule(
        strided_scatter,
        Formula("y = x, s at offset + i·stride", r"y = x, \; y_{o + i \cdot s} = s_i"),
        {
            "self": onward("x", "g, 0 where overwritten", r"g, \; 0 \text{ where overwritten}"),
            "src": onward("s", "g there", r"g_{o + i \cdot s}"),
        },
        {"self": "x", "src": "s"},
    ),
    "put": Rule(
        put,
        Formula("y = x, flat(y)[i] = s", r"y = x, \; \operatorname{flat}(y)_i = s"),
        {
            "self": onward("x", "g, 0 where overwritten", r"g, \; 0 \text{ where overwritten}"),
            "source": onward("s", "g[i]", "g_i"),
        },
        {"self": "x", "source": "s", "index": "i"},
    ),
    "_unsafe_masked_index": Rule(
        masked_index,
        Formula("y = x[i] where m", "y = x_i [m]"),
        {"self": onward("x", "Σ g, over the uses where m", r"\sum_{t:\, i_t = k} g_t [m_t]")},
        {"self": "x", "mask": "m", "indices": "i"},
    ),
    "_unsafe_masked_index_put_accumulate": Rule(
        masked_index_added,
        Formula("y = x, y[i] += s where m", r"y = x, \; y_i \mathrel{+}= s [m]"),
        {"self": onward("x", "g", "g"), "values": onward("s", "g[i] where m", "g_i [m]")},
        {"self": "x", "values": "s", "mask": "m"},
    ),
    "block_diag": Rule(
        block_diagonal,
        Formula("y = x₀, x₁, … on the diagonal", r"y = \operatorname{diag}(x_0, x_1, \ldots)"),
        {"tensors": onward("xᵢ", "its block of g", r"g_{\text{block } i}", "x_i")},
        {"tensors": "x"},
    ),
    "channel_shuffle": Rule(
        channel_shuffle,
        Formula("y = x, channels dealt out", r"y = \operatorname{shuffle}_n(x)"),
        {"self": onward("x", "g, channels dealt back", r"\operatorname{shuffle}_{C/n}(g)")},
        {"self": "x", "groups": "n"},
    ),
}
