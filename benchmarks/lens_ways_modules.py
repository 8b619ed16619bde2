"""The second part of the ways of writing PyTorch: modules, what they hold, take and return.

`MODULES[name]()` is (what is run, its batch), each made with fixed random numbers.
"""

import copy
from collections import namedtuple
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn
from torch.nn.utils import parametrizations, prune

N = 6
Made = tuple[Any, Any]
MODULES: dict[str, Callable[[], Made]] = {}
Pair = namedtuple("Pair", ["scores", "hidden"])


@dataclass
class Scored:
    """An output with its loss."""

    scores: Tensor
    loss: Tensor


class Parts(nn.Module):
    """Named parts, and a function that says what is done with them."""

    def __init__(self, run: Callable[..., Any], **parts: Any) -> None:
        super().__init__()
        for name, part in parts.items():
            if isinstance(part, Tensor) and not isinstance(part, nn.Parameter):
                self.register_buffer(name, part)
            else:
                setattr(self, name, part)
        self.run = run

    def forward(self, *inputs: Any, **named: Any) -> Any:
        """What the function does."""
        return self.run(self, *inputs, **named)


def x(*shape: int) -> Tensor:
    return torch.randn(shape or (4, N))


def linear() -> nn.Linear:
    return nn.Linear(N, N)


def parts(run: Callable[..., Any], batch: Any = None, **named: Any) -> Made:
    return Parts(run, **named), x() if batch is None else batch


class Split(torch.autograd.Function):
    """A custom Function with two results, in the older style."""

    @staticmethod
    def forward(ctx: Any, one: Tensor) -> tuple[Tensor, Tensor]:
        ctx.save_for_backward(one)
        return one * 2, one.square()

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> Any:
        (one,) = ctx.saved_tensors
        return 2 * gradients[0] + 2 * one * gradients[1]


class Cube(torch.autograd.Function):
    """A custom Function in the newer style."""

    @staticmethod
    def forward(one: Tensor) -> Tensor:
        return one**3

    @staticmethod
    def setup_context(ctx: Any, inputs: Any, output: Any) -> None:
        ctx.save_for_backward(*inputs)

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> Any:
        return 3 * ctx.saved_tensors[0] ** 2 * gradients[0]


class Halved(torch.autograd.Function):
    """A custom Function that writes into what it is given."""

    @staticmethod
    def forward(ctx: Any, one: Tensor) -> Tensor:
        ctx.mark_dirty(one)
        return one.mul_(0.5)

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> Any:
        return gradients[0] * 0.5


def two_functions(m: Any, given: Tensor) -> Tensor:
    cubed = Cube.apply(m.layer(given))  # type: ignore[no-untyped-call]
    return torch.cat(Split.apply(cubed))  # type: ignore[no-untyped-call]


def in_place_function(m: Any, given: Tensor) -> Tensor:
    halved: Tensor = Halved.apply(m.layer(given) * 1.0)  # type: ignore[no-untyped-call]
    return halved.sin()


def running_mean(m: Any, given: Tensor) -> Tensor:
    y = m.layer(given)
    with torch.no_grad():
        m.mean.lerp_(y.mean(0), 0.1)
        m.count += 1
    return y - m.mean / m.count


def experts(m: Any, given: Tensor) -> Tensor:
    weights, chosen = m.router(given).softmax(-1).topk(2, -1)
    out = torch.zeros_like(given)
    for number, expert in enumerate(m.experts):
        rows, place = torch.where(chosen == number)
        if len(rows):
            out = out.index_add(0, rows, expert(given[rows]) * weights[rows, place, None])
    return out


def quantised(m: Any, given: Tensor) -> Tensor:
    h = m.layer(given)
    nearest = m.codes[torch.cdist(h, m.codes).argmin(-1)]
    kept = h + (nearest - h).detach()
    return kept.sum() + F.mse_loss(nearest, h.detach()) + 0.25 * F.mse_loss(h, nearest.detach())


def teacher(m: Any, given: Tensor) -> Tensor:
    with torch.no_grad():
        target = m.slow(given)
    return F.mse_loss(m.fast(given), target)


def recurrent(m: Any, given: Tensor) -> Tensor:
    h = c = torch.zeros(len(given), N, dtype=given.dtype)
    made = []
    for _ in range(3):
        h, c = m.cell(given, (h, c))
        made.append(h)
    return torch.stack(made, 1)


def by_state(m: Any, given: Tensor) -> Tensor:
    state = {name: one * 1.1 for name, one in m.layer.named_parameters()}
    return torch.func.functional_call(m.layer, state, (given,))


def without_last(given: Mapping[str, Any], m: Any) -> Tensor:
    return m.layer(given["x"]) * given["mask"].to(given["x"].dtype)[:, None] + len(given["name"])


def tied() -> Made:
    table = nn.Embedding(9, N)
    head = nn.Linear(N, 9, bias=False)
    head.weight = table.weight
    return parts(
        lambda m, ids: m.head(m.table(ids).tanh()), torch.tensor([[0, 3, 3], [8, 1, 0]]), table=table, head=head
    )


def hooked() -> Made:
    layer = linear()
    layer.register_forward_pre_hook(lambda module, given: (given[0] * 2,))
    layer.register_forward_hook(lambda module, given, made: made.tanh())
    layer.register_full_backward_hook(lambda module, given, taken: None)
    layer.weight.register_hook(lambda g: None)  # type: ignore[no-untyped-call]
    return layer, x()


def pruned() -> Made:
    layer = linear()
    prune.l1_unstructured(layer, "weight", amount=0.4)  # type: ignore[no-untyped-call]
    return layer, x()


def compiled() -> Made:
    return torch.compile(nn.Sequential(linear(), nn.GELU(), linear())), x()


def method() -> Made:
    model = Parts(lambda m, given: m.layer(given), layer=linear())
    return model.forward, x()


def closure() -> Made:
    one, scale = linear(), nn.Parameter(torch.rand(N))
    return (lambda given, more: one(given * scale) + more), (x(), 1.5)


def frozen() -> Made:
    model = nn.Sequential(linear(), nn.Tanh(), linear())
    model[0].requires_grad_(False)
    return model, x().requires_grad_()


MODULES.update(
    {
        "a module list": lambda: parts(
            lambda m, g: [g := layer(g).tanh() for layer in m.layers][-1],
            layers=nn.ModuleList(linear() for _ in range(3)),
        ),
        "a module dict": lambda: parts(
            lambda m, g: m.d["b"](m.d["a"](g).sin()), d=nn.ModuleDict({"a": linear(), "b": linear()})
        ),
        "parameter lists and dicts": lambda: parts(
            lambda m, g: g @ m.ws[0] * m.ws[1] + m.named["s"],
            ws=nn.ParameterList([torch.randn(N, N), torch.rand(N)]),
            named=nn.ParameterDict({"s": nn.Parameter(torch.tensor(0.5))}),
        ),
        "one module twice": lambda: parts(lambda m, g: m.layer(m.layer(g).tanh()), layer=linear()),
        "tied weights": tied,
        "a frozen layer, and an input with a gradient": frozen,
        "a buffer that is read": lambda: parts(lambda m, g: m.layer(g) * m.scale, layer=linear(), scale=torch.rand(N)),
        "buffers that move": lambda: parts(running_mean, layer=linear(), mean=torch.zeros(N), count=torch.tensor(1.0)),
        "batch norm and dropout in training": lambda: (
            nn.Sequential(linear(), nn.BatchNorm1d(N), nn.Dropout(0.3), nn.Mish(), linear()),
            x(8, N),
        ),
        "an embedding with padding": lambda: (nn.Embedding(9, N, padding_idx=0), torch.tensor([[0, 3, 3], [8, 1, 0]])),
        "an LSTM": lambda: parts(lambda m, g: m.lstm(g)[0], x(2, 5, N), lstm=nn.LSTM(N, N, 2, batch_first=True)),
        "a recurrent cell in a loop": lambda: parts(recurrent, cell=nn.LSTMCell(N, N)),
        "a transformer layer": lambda: (nn.TransformerEncoderLayer(N, 2, 12, 0.0, batch_first=True), x(2, 5, N)),
        "convolutions up and down": lambda: (
            nn.Sequential(nn.Conv2d(1, 3, 3), nn.MaxPool2d(2), nn.LeakyReLU(), nn.ConvTranspose2d(3, 1, 3, 2)),
            x(2, 1, 10, 10),
        ),
        "a dataclass is returned": lambda: parts(
            lambda m, g: Scored(s := m.layer(g), s.square().mean()), layer=linear()
        ),
        "a named tuple is returned": lambda: parts(lambda m, g: Pair(m.layer(g).tanh(), g), layer=linear()),
        "a dict with the loss is returned": lambda: parts(
            lambda m, g: {"loss": m.layer(g).square().mean(), "n": len(g)}, layer=linear()
        ),
        "a dict is taken": lambda: parts(
            lambda m, g: without_last(g, m),
            ({"x": x(), "mask": torch.tensor([1, 1, 0, 1]), "name": "four"},),
            layer=linear(),
        ),
        "named arguments, one of them None": lambda: parts(
            lambda m, *, ids, mask=None: m.table(ids).tanh() if mask is None else ids,
            {"ids": torch.tensor([[0, 1], [2, 2]]), "mask": None},
            table=nn.Embedding(5, N),
        ),
        "a method": method,
        "a function with modules around it": closure,
        "a partial": lambda: (partial(lambda layer, g: layer(g).tanh(), linear()), x()),
        "forward hooks, and backward hooks that only look": hooked,
        "weight norm": lambda: (parametrizations.weight_norm(linear()), x()),
        "orthogonal weights": lambda: (parametrizations.orthogonal(linear()), x()),
        "pruned weights": pruned,
        "a compiled model": compiled,
        "other weights by functional_call": lambda: parts(by_state, layer=linear()),
        "a copy of a layer, with its own weights": lambda: parts(
            lambda m, g: m.one(g) * m.two(g), one=(one := linear()), two=copy.deepcopy(one)
        ),
        "custom Functions, old and new": lambda: parts(two_functions, layer=linear()),
        "a custom Function that writes in place": lambda: parts(in_place_function, layer=linear()),
        "experts chosen by a router": lambda: parts(
            experts, x(8, N), router=nn.Linear(N, 3), experts=nn.ModuleList(linear() for _ in range(3))
        ),
        "nearest codes, straight through": lambda: parts(
            quantised, layer=linear(), codes=nn.Parameter(torch.randn(5, N))
        ),
        "a teacher without gradient": lambda: parts(teacher, fast=linear(), slow=linear()),
        "a sample of a normal distribution": lambda: parts(
            lambda m, g: torch.distributions.Normal(m.mean(g), F.softplus(m.spread(g))).rsample(),
            mean=linear(),
            spread=linear(),
        ),
        "autocast, switched off inside": lambda: parts(_autocast, layer=linear()),
    }
)


def _autocast(m: Any, given: Tensor) -> Tensor:
    with torch.autocast("cpu", enabled=False):
        return m.layer(given).tanh()
