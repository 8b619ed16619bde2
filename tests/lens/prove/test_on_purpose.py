import copy

import pytest
import torch
from torch import nn

from chainrule.base import LensError
from chainrule.lens import verify
from chainrule.lens.prove import proof_facts, proof_lines


class Reverse(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return x.view_as(x)

    @staticmethod
    def backward(ctx, g):
        return -g


class Round(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return x.round()

    @staticmethod
    def backward(ctx, g):
        return g


def line_of(function):
    return function.__code__.co_firstlineno


def square(out):
    return out.square().mean()


def program(function):
    first, last = nn.Linear(4, 4), nn.Linear(4, 2)
    return lambda x: last(function.apply(first(x))).sin().square().mean()


def test_a_function_that_is_allowed_is_taken_at_its_word_and_all_behind_it_is_proved():
    x = torch.randn(5, 4)
    for function, allow in (
        (Reverse, f"gradient reversal at line {line_of(Reverse.backward)}"),
        (Round, f"test_on_purpose.py:{line_of(Round.forward)}"),
        (Round, "straight-through by Round"),
    ):
        report = verify(program(function), x, coordinates=12, allow=[allow])
        assert report.ok, report.summary
        assert [one.allowed for one in report.changes] == [True]
        assert not report.unused
        assert "changed on purpose" in report.summary
        assert function.__name__ in " ".join(proof_lines(report))
        assert proof_facts(report)["changes"][0]["allowed"]


@pytest.mark.parametrize("function", [Reverse, Round])
def test_what_nobody_allowed_is_wrong(function):
    report = verify(program(function), torch.randn(5, 4), coordinates=2)
    assert report.verdict == "wrong"
    assert report.place.function == function.__name__


def test_a_fault_before_an_allowed_function_is_still_found():
    class Bent(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x * 2

        @staticmethod
        def backward(ctx, g):
            return g * 2.001

    first, last = nn.Linear(4, 4), nn.Linear(4, 2)

    def run(x):
        return last(Reverse.apply(Bent.apply(first(x)))).sin().square().mean()

    report = verify(run, torch.randn(5, 4), coordinates=6, allow=["Reverse"])
    assert report.verdict == "wrong"
    assert report.place.function == "Bent"


def test_a_hook_that_is_allowed_is_listed_and_one_that_is_not_is_named_by_its_own_line():
    def clip(g):
        return g.clamp(-1e-3, 1e-3)

    model = nn.Sequential(nn.Linear(4, 4), nn.Tanh(), nn.Linear(4, 2))
    model[0].weight.register_hook(clip)
    x = torch.randn(5, 4)
    report = verify(model, x, square, coordinates=6)
    assert report.verdict == "wrong"
    assert report.place.by_hook
    assert report.place.function_site.line == line_of(clip)
    assert "clip on 0.weight" in report.summary
    report = verify(model, x, square, coordinates=6, allow=[f"clipping at line {line_of(clip)}", "line 1"])
    assert report.ok, report.summary
    assert report.unused == ("line 1",)
    assert "clip" in " ".join(proof_lines(report))


def test_hooks_that_only_look_or_use_the_gradient_up_are_proved_and_leave_the_caller_alone():
    model, seen = nn.Sequential(nn.Linear(4, 4), nn.Tanh(), nn.Linear(4, 2)), []
    optimizers = {weight: torch.optim.SGD([weight], lr=0.1) for weight in model.parameters()}

    def update(weight):
        optimizers[weight].step()
        weight.grad = None

    for weight in model.parameters():
        weight.register_hook(lambda g: seen.append(g.norm()))
        weight.register_post_accumulate_grad_hook(update)
    before = copy.deepcopy(list(model.parameters()))
    report = verify(model, torch.randn(5, 4), square, coordinates=6)
    assert report.ok, report.summary
    assert not seen
    assert not report.changes
    assert all(torch.equal(one, other) for one, other in zip(before, model.parameters(), strict=True))


@pytest.mark.filterwarnings("ignore:Full backward hook")
def test_hooks_of_all_modules_at_once_are_judged_and_put_back():
    def halve(module, given, taken):
        return tuple(None if one is None else one / 2 for one in given)

    handle = nn.modules.module.register_module_full_backward_hook(halve)
    try:
        model = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 2))
        report = verify(model, torch.randn(5, 4), square, coordinates=2)
        assert nn.modules.module._global_backward_hooks[handle.id] is halve
    finally:
        handle.remove()
    assert report.verdict == "wrong"
    assert "halve on all modules" in report.summary


def test_allow_takes_a_list():
    with pytest.raises(LensError, match="give a list"):
        verify(nn.Linear(2, 2), torch.randn(2, 2), square, allow="Reverse")
