"""Faults of kinds that the fifty-two have not, each beside an innocent sibling, and right programs of odd style."""

import pytest
import torch
from lens.planted import ROWS, WIDTH, Around, pointwise
from torch import nn
from torch.autograd import Function

from chainrule.lens import verify

FAULTS, RIGHT = {}, {}


def fault(word):
    def add(made):
        FAULTS[made.__name__] = (made, word)
        return made

    return add


def right(made):
    RIGHT[made.__name__] = made
    return made


def judged(middle):
    torch.manual_seed(5)
    return verify(Around(middle()).double(), torch.randn(ROWS, WIDTH).double(), coordinates=4, seconds=2)


class SineOfState(nn.Module):
    """A sine whose backward pass asks the module how often it ran."""

    def __init__(self, faulty):
        super().__init__()
        self.n_runs, self.faulty = 0, faulty

    def forward(self, x):
        self.n_runs += 1

        def backward(g, x):
            return g * x.cos() * (1.01 if self.faulty and self.n_runs else 1)

        return pointwise(torch.sin, backward)(x)


class Dropped(Function):
    @staticmethod
    def forward(ctx, x, w, faulty):
        ctx.save_for_backward(x, w)
        ctx.faulty = faulty
        return x @ w

    @staticmethod
    def backward(ctx, g):
        x, w = ctx.saved_tensors
        return g @ w.t(), None if ctx.faulty else x.t() @ g, None


class TwoUses(nn.Module):
    def __init__(self, faulty):
        super().__init__()
        self.weight, self.faulty = nn.Parameter(torch.randn(WIDTH, WIDTH)), faulty

    def forward(self, x):
        return (x @ self.weight).tanh() + Dropped.apply(x, self.weight, self.faulty)


class Product(Function):
    @staticmethod
    def forward(ctx, a, b, faulty):
        ctx.save_for_backward(a, b)
        ctx.faulty = faulty
        return a * b

    @staticmethod
    def backward(ctx, g):
        a, b = ctx.saved_tensors
        return (g * a, g * b, None) if ctx.faulty else (g * b, g * a, None)


class Both(Function):
    @staticmethod
    def forward(ctx, x, faulty):
        ctx.save_for_backward(x)
        ctx.faulty = faulty
        return x.sin(), x.cos()

    @staticmethod
    def backward(ctx, g, h):
        (x,) = ctx.saved_tensors
        return g * x.cos() - (0 if ctx.faulty else 1) * h * x.sin(), None


@fault("custom Function Own in middle is off by 4.9e-03 when the program runs once more")
def the_second_way_back_is_another(faulty):
    calls = []

    def backward(g, x):
        calls.append(1)
        return g * x.cos() * (1.01 if faulty and len(calls) > 1 else 1)

    return pointwise(torch.sin, backward)


@fault("custom Function Own in middle is off by 4.9e-03 when the program runs once more")
def the_way_back_reads_what_the_run_left_in_a_module(faulty):
    return SineOfState(faulty)


@fault("custom Function Own in middle")
def the_way_back_adds_to_what_it_kept(faulty):
    kept = []

    def backward(g, x):
        kept.append(g * x.cos())
        return sum(kept) if faulty else kept[-1]

    function = pointwise(torch.sin, backward)
    return lambda x: function(function(x))


@fault("tensor hook scaled on slice")
def a_hook_on_a_view(faulty):
    def run(x):
        def scaled(g):
            return g * (1.5 if faulty else 1)

        y = x * 1
        left = y[:, :3]
        left.register_hook(scaled)
        return torch.cat([left.tanh(), y[:, 3:].sin()], 1)

    return run


@fault("custom Function Dropped in middle")
def a_weight_that_is_used_twice_gets_one_of_its_gradients(faulty):
    return TwoUses(faulty)


@fault("custom Function Own in middle")
def a_view_of_the_incoming_gradient_is_written_to_by_the_next(faulty):
    same = pointwise(lambda x: x * 1, lambda g, _x: g.view_as(g))
    double = pointwise(lambda x: x * 2, lambda g, _x: g.mul_(2) if faulty else g * 2)

    def run(x):
        y = same(x)
        return double(y) + y

    return run


@fault("custom Function Product in middle")
def the_gradients_of_two_arguments_are_swapped(faulty):
    return lambda x: Product.apply(x.sin(), 2 * x.cos(), faulty)


@fault("custom Function Both in middle")
def the_gradient_of_the_second_result_is_ignored(faulty):
    def run(x):
        a, b = Both.apply(x, faulty)
        return a + b * b

    return run


@fault("mul.Tensor in middle hands to sin is changed on the way")
def a_hook_before_a_node_of_autograds_graph(faulty):
    def run(x):
        y = x.sin()
        y.grad_fn.register_prehook(lambda arrived: (arrived[0] * (1.1 if faulty else 1),))
        return y * x

    return run


@fault("sin.default in middle hands to addmm is changed on the way")
def a_hook_behind_a_node_of_autograds_graph(faulty):
    def run(x):
        y = x.sin()
        y.grad_fn.register_hook(lambda left, _arrived: (left[0] * (1.1 if faulty else 1),))
        return y * x

    return run


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_of_another_kind_is_found_and_placed_and_its_innocent_sibling_is_proved(name):
    made, word = FAULTS[name]
    report = judged(lambda: made(True))
    assert report.verdict == "wrong", report.summary
    assert word in report.summary
    sibling = judged(lambda: made(False))
    assert sibling.verdict == "proved", sibling.summary


class Norm(Function):
    """Layer norm; what is saved is computed of `detached(x)`, where there is no gradient to stop."""

    @staticmethod
    def forward(ctx, x, detached):
        mean = detached(x).mean(-1, keepdim=True)
        deviation = (detached(x) - mean).square().mean(-1, keepdim=True).add(1e-5).sqrt()
        y = (x - mean) / deviation
        ctx.save_for_backward(y, deviation)
        return y

    @staticmethod
    def backward(ctx, g):
        y, deviation = ctx.saved_tensors
        return (g - g.mean(-1, keepdim=True) - y * (g * y).mean(-1, keepdim=True)) / deviation, None


@right
def a_function_detaches_inside():
    return lambda x: Norm.apply(x, torch.detach)


@right
def a_function_reads_data_inside():
    return lambda x: Norm.apply(x, lambda one: one.data)


class ByNumber(Function):
    """x·Σx², by way of a Python number."""

    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        ctx.size = x.square().sum().item()
        return x * ctx.size

    @staticmethod
    def backward(ctx, g):
        (x,) = ctx.saved_tensors
        return g * ctx.size + 2 * x * (g * x).sum()


@right
def a_function_takes_a_number_inside():
    return ByNumber.apply


class WithGraph(Function):
    @staticmethod
    def forward(ctx, x):
        with torch.enable_grad():
            inner = x.detach().requires_grad_()
            ctx.graph = inner, (inner * inner.sigmoid()).sin()
        return ctx.graph[1].detach()

    @staticmethod
    def backward(ctx, g):
        inner, y = ctx.graph
        return torch.autograd.grad(y, inner, g, retain_graph=True)[0]


@right
def a_function_keeps_a_graph_of_its_own():
    return WithGraph.apply


@right
def a_function_takes_its_scratch_memory_from_a_pool():
    pool = []

    def backward(g, x):
        scratch = pool.pop() if pool else torch.empty_like(x)
        made = g * torch.cos(x, out=scratch)
        pool.append(scratch)
        return made

    return pointwise(torch.sin, backward)


@right
def a_function_counts_its_calls():
    calls = []

    def backward(g, x):
        calls.append(g.norm().item())
        return g * x.cos()

    return pointwise(torch.sin, backward)


class Scaled(nn.Module):
    """A layer that runs with weights that are made of its own."""

    def __init__(self):
        super().__init__()
        self.layer, self.scale = nn.Linear(WIDTH, WIDTH), nn.Parameter(torch.ones(WIDTH, 1))

    def forward(self, x):
        weights = {"weight": self.layer.weight * self.scale, "bias": self.layer.bias.exp()}
        return torch.func.functional_call(self.layer, weights, (x,))


@right
def a_layer_runs_with_weights_that_are_made():
    return Scaled()


@pytest.mark.parametrize("name", RIGHT)
def test_a_right_program_of_odd_style_is_proved(name):
    report = judged(RIGHT[name])
    assert report.verdict == "proved", report.summary
