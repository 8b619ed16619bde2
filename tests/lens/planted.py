"""Faults in programs, each beside an innocent sibling that looks like it. `PLANTED[name]` is (faulty, innocent, word).

Both make (model, batch); `word` stands in the sentence of the verdict on the faulty one: who is named.
"""

import ctypes
from functools import partial

import numpy as np
import torch
from torch import nn
from torch.autograd import Function
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

WIDTH, ROWS = 6, 5
PLANTED = {}


def planted(name, word):
    def add(made):
        PLANTED[name] = (partial(_made, made, True), partial(_made, made, False), word)
        return made

    return add


def _made(made, faulty):
    torch.manual_seed(5)
    middle = made(faulty)
    return Around(middle).double(), torch.randn(ROWS, WIDTH).double()


class Around(nn.Module):
    """Linear, what was planted beside a residual path, linear."""

    def __init__(self, middle):
        super().__init__()
        self.before, self.after = nn.Linear(WIDTH, WIDTH), nn.Linear(WIDTH, 3)
        self.middle = middle if isinstance(middle, nn.Module) else Lambda(middle)

    def forward(self, x):
        h = self.before(x)
        return self.after(h + self.middle(h)).sin().square().mean()


class Lambda(nn.Module):
    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, x):
        return self.function(x)


def pointwise(forward, backward):
    """A custom Function of one tensor."""

    class Own(Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return forward(x)

        @staticmethod
        def backward(ctx, g):
            return backward(g, *ctx.saved_tensors)

    return Own.apply


@planted("a factor of a millionth", "Own")
def _(faulty):
    return pointwise(torch.sin, lambda g, x: g * x.cos() * (1 + 1e-6 * faulty))


@planted("only below minus one", "Own")
def _(faulty):
    return pointwise(lambda x: x**3, lambda g, x: g * torch.where((x < -1) & faulty, 2 * x**2, 3 * x**2))


@planted("one column, one per cent", "Own")
def _(faulty):
    factors = torch.ones(WIDTH)
    factors[2] += 0.01 * faulty
    return pointwise(torch.exp, lambda g, x: g * x.exp() * factors)


@planted("no gradient at all", "Own")
def _(faulty):
    return pointwise(torch.exp, lambda g, x: None if faulty else g * x.exp())


@planted("a branch of backward is detached", "Own")
def _(faulty):
    return pointwise(lambda x: x * x.sigmoid(), lambda g, x: g * (x.sigmoid() + (0 if faulty else 1) * _silu_rest(x)))


def _silu_rest(x):
    return x * x.sigmoid() * (1 - x.sigmoid())


@planted("backward writes into the gradient that it is given", "Own")
def _(faulty):
    return pointwise(lambda x: 2 * x, lambda g, x: g.mul_(2) if faulty else g * 2)


@planted("backward writes by way of NumPy", "Own")
def _(faulty):
    def backward(g, x):
        mine = (g if faulty else g.clone()).numpy()
        mine *= 2
        return torch.from_numpy(mine.copy())

    return pointwise(lambda x: 2 * x, backward)


@planted("NumPy with the wrong sign", "Own")
def _(faulty):
    return pointwise(
        lambda x: torch.from_numpy(np.sin(x.detach().numpy())), lambda g, x: g * x.cos() * (1 - 2 * faulty)
    )


@planted("NumPy, a millionth", "Own")
def _(faulty):
    return pointwise(
        lambda x: torch.from_numpy(np.sin(x.detach().numpy())), lambda g, x: g * x.cos() * (1 + 1e-6 * faulty)
    )


@planted("NumPy back and forth, one column", "Own")
def _(faulty):
    factors = torch.ones(WIDTH, dtype=torch.float64)
    factors[1] += 0.001 * faulty
    return pointwise(
        lambda x: torch.from_numpy(np.tanh(x.detach().numpy())),
        lambda g, x: torch.from_numpy(g.numpy() * (1 - np.tanh(x.numpy()) ** 2)) * factors,
    )


@planted("a kernel called by pointer", "Own")
def _(faulty):
    def cube(x):
        x, out = x.contiguous(), torch.empty_like(x)
        read, written = (
            np.ctypeslib.as_array(ctypes.cast(one.data_ptr(), ctypes.POINTER(ctypes.c_double)), (one.numel(),))
            for one in (x, out)
        )
        written[:] = read**3
        return out

    return pointwise(cube, lambda g, x: g * (2 if faulty else 3) * x**2)


@planted("a list of numbers is rebuilt, and its gradient is wrong", "Own")
def _(faulty):
    return pointwise(
        lambda x: torch.tensor([[2 * one for one in row] for row in x.tolist()], dtype=x.dtype),
        lambda g, x: g * (3 if faulty else 2),
    )


class WithScale(nn.Module):
    """A scale for each column, with a gradient of its own."""

    def __init__(self, faulty):
        super().__init__()
        self.scale = nn.Parameter(torch.rand(WIDTH) + 0.5)

        class Scaled(Function):
            @staticmethod
            def forward(ctx, x, scale):
                ctx.save_for_backward(x, scale)
                return x * scale

            @staticmethod
            def backward(ctx, g):
                x, scale = ctx.saved_tensors
                return g * scale, (g * x).mean(0) if faulty else (g * x).sum(0)

        self.function = Scaled.apply

    def forward(self, x):
        return self.function(x, self.scale)


@planted("a mean where a sum over rows belongs", "Scaled")
def _(faulty):
    return WithScale(faulty)


class Hooked(nn.Module):
    """A layer on which `hang(layer, faulty)` puts a hook."""

    def __init__(self, hang, faulty):
        super().__init__()
        self.layer = nn.Linear(WIDTH, WIDTH)
        hang(self.layer, faulty)

    def forward(self, x):
        return self.layer(x).tanh()


def hook(name, word):
    def add(hang):
        planted(name, word)(partial(Hooked, hang))
        return hang

    return add


@hook("a hook on a parameter", "sevenfold on middle.layer.weight")
def _(layer, faulty):
    def sevenfold(g):
        return g * (7 if faulty else 1)

    layer.weight.register_hook(sevenfold)


@hook("a hook on a parameter writes in place", "halve on middle.layer.bias")
def _(layer, faulty):
    def halve(g):
        (g if faulty else g.clone()).mul_(0.5)

    layer.bias.register_hook(halve)


@hook("a hook after accumulation", "clip on middle.layer.weight")
def _(layer, faulty):
    def clip(weight):
        weight.grad.clamp_(-1e-4, 1e-4) if faulty else weight.grad.clamp_(-1e4, 1e4)

    layer.weight.register_post_accumulate_grad_hook(clip)


@hook("a backward hook of a module", "damp on middle.layer")
def _(layer, faulty):
    def damp(module, given, taken):
        return tuple(None if one is None else one * (0.5 if faulty else 1) for one in given)

    layer.register_full_backward_hook(damp)


@hook("a backward pre-hook of a module", "early on middle.layer")
def _(layer, faulty):
    def early(module, taken):
        return (taken[0] * (1.001 if faulty else 1),)

    layer.register_full_backward_pre_hook(early)


class TensorHook(nn.Module):
    def __init__(self, faulty):
        super().__init__()
        self.faulty = faulty

    def forward(self, x):
        def doubled(g):
            return g * (2 if self.faulty else 1)

        h = x + 1
        h.register_hook(doubled)
        return h.tanh()


@planted("a hook on a tensor inside", "doubled on add")
def _(faulty):
    return TensorHook(faulty)


@planted("checkpoint draws other random numbers", "sin.default in middle")
def _(faulty):
    def part(x):
        return functional.dropout(x, 0.5).sin()

    return lambda x: checkpoint(part, x, use_reentrant=False, preserve_rng_state=not faulty)


@planted("a write that autograd does not see", "mul_.Tensor in middle writes")
def _(faulty):
    def run(x):
        h = x * 1
        (h.data if faulty else h).mul_(2)
        return h.sin()

    return run


@planted("a saved result is written to", "mul_.Tensor in middle writes")
def _(faulty):
    def run(x):
        s = x.sigmoid()
        (s.data if faulty else s.clone().data).mul_(2)
        return s

    return run


@planted("saved tensors are packed to float16", "gradient of mul.Tensor in middle")
def _(faulty):
    narrow = torch.float16 if faulty else torch.float64

    def run(x):
        pack = (lambda one: one.to(narrow), lambda one: one.to(torch.float64))
        with torch.autograd.graph.saved_tensors_hooks(*pack):
            return x.sin() * x

    return run


@planted("where hides a logarithm of nothing", "log.default")
def _(faulty):
    return lambda x: torch.where(x > 9, x, 0 * x).log().where(x > 9, 0 * x) if faulty else x.square().add(1).log()


def cut(name, stop):
    """A wrong Function beside a cut, and a right one: that there is a cut excuses nothing."""

    def made(faulty):
        function = pointwise(torch.sin, lambda g, x: g * x.cos() * (1.01 if faulty else 1))
        return lambda x: function(x) * stop(x)

    planted(f"a wrong Function beside {name}", "Own")(made)


def _no_grad(x):
    with torch.no_grad():
        return x.std(0) + x.square().mean()


cut("detach", lambda x: x.detach())
cut("data", lambda x: x.data)
cut("no_grad", _no_grad)
cut("item", lambda x: x.sum().item())
cut("tolist", lambda x: torch.tensor(x.tolist(), dtype=x.dtype))
cut("NumPy", lambda x: torch.from_numpy(np.cos(x.detach().numpy())))
cut("float", lambda x: float(x.detach().norm()) if x.sum() > -1e9 else 0.0)
