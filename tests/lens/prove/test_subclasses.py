"""Subclasses of Tensor: those with a say in functions, and those that wrap another tensor."""

import pytest
import torch
from torch import Tensor, nn
from torch.testing._internal.two_tensor import TwoTensor
from torch.utils._pytree import tree_map

from chainrule.base import LensError
from chainrule.lens import record, reverse, verify

X = torch.linspace(-1, 1, 12).reshape(3, 4)


class Tagged(Tensor):
    """Only a name: torch gives it to every result."""


class Doubling(Tensor):
    """Does something of its own."""

    @classmethod
    def __torch_function__(cls, func, types, args=(), kwargs=None):
        result = super().__torch_function__(func, types, args, kwargs or {})
        return 2 * result if func is nn.functional.linear else result


class Losing(Tensor):
    """Hands back plain tensors."""

    @classmethod
    def __torch_function__(cls, func, types, args=(), kwargs=None):
        with torch._C.DisableTorchFunctionSubclass():
            return func(*args, **(kwargs or {}))


class Renamed(nn.Parameter):
    """A parameter by another name."""


class Wrapper(Tensor):
    """Computes with what it wraps."""

    @staticmethod
    def __new__(cls, inner):
        return Tensor._make_wrapper_subclass(cls, inner.shape, dtype=inner.dtype, strides=inner.stride())

    def __init__(self, inner):
        self.inner = inner

    def __tensor_flatten__(self):
        return ["inner"], None

    @classmethod
    def __tensor_unflatten__(cls, parts, context, size, stride):
        return cls(parts["inner"])

    @classmethod
    def __torch_dispatch__(cls, func, types, args=(), kwargs=None):
        args, kwargs = tree_map(lambda one: one.inner if isinstance(one, Wrapper) else one, (args, kwargs or {}))
        return tree_map(
            lambda one: cls(one) if isinstance(one, Tensor) else one, cls.changed(func, func(*args, **kwargs))
        )

    @classmethod
    def changed(cls, func, result):
        return result


class OffForward(Wrapper):
    @classmethod
    def changed(cls, func, result):
        return 1.01 * result if func is torch.ops.aten.addmm.default else result


class OffBackward(Wrapper):
    @classmethod
    def changed(cls, func, result):
        return 1.01 * result if func is torch.ops.aten.mm.default else result


def network(of):
    torch.manual_seed(0)
    first, last = nn.Linear(4, 4), nn.Linear(4, 3)
    weight = of(last.weight.detach().clone()).requires_grad_()
    weight._is_param = True
    last.weight = weight
    return nn.Sequential(first, nn.Tanh(), last)


def verified(model, x=X):
    return verify(model, x, lambda y: (y * y).sum(), coordinates=4, seconds=1)


@pytest.mark.parametrize("kind", [Tagged, Doubling, Losing, Renamed])
def test_weights_of_a_class_with_a_say_in_functions_are_verified_as_the_program_uses_them(kind):
    model = network(lambda weight: weight.as_subclass(kind))
    report = verified(model)
    assert report.verdict == "proved", report.summary
    assert type(model[2].weight) is kind
    assert report.loss == pytest.approx(model(X).square().sum().item(), rel=1e-5)
    assert report.numbers is not None and report.numbers.checks


@pytest.mark.parametrize("kind", [Tagged, Doubling, Losing])
def test_inputs_of_such_a_class_are_verified_too(kind):
    report = verified(network(lambda weight: weight), X.as_subclass(kind))
    assert report.verdict == "proved", report.summary


def test_a_class_that_a_result_is_given_on_the_way_is_followed_also_where_it_is_written_to_by_a_view():
    w = torch.tensor([1.0, 2.0, 3.0], dtype=torch.float64, requires_grad=True)

    def program():
        y = (w * w).as_subclass(Tagged)
        y.view(-1)[0].mul_(3)
        return y.sin().sum()

    tape = record(program)
    torch.testing.assert_close(
        reverse(tape)[tape.named("w").id], torch.autograd.grad(program(), w)[0].as_subclass(Tensor)
    )
    assert verify(program, coordinates=3, seconds=1).verdict == "proved"


def test_what_a_class_wraps_is_verified_in_its_place_when_it_changes_nothing():
    model = network(Wrapper)
    report = verified(model)
    assert report.verdict == "proved", report.summary
    assert type(model[2].weight) is Wrapper
    assert verified(network(lambda weight: Wrapper(Wrapper(weight)))).verdict == "proved"
    assert verified(network(lambda weight: weight), Wrapper(X)).verdict == "proved"


@pytest.mark.parametrize(
    ("kind", "why"),
    [
        (OffForward, "OffForward changes what is computed"),
        (OffBackward, "OffBackward changes the gradient of 0.weight"),
    ],
)
def test_a_wrapper_that_changes_results_or_gradients_proves_nothing_and_is_named(kind, why):
    report = verified(network(kind))
    assert report.verdict == "not proved"
    assert any(why in doubt for doubt in report.doubts), report.doubts


def test_a_wrapper_of_several_tensors_is_refused_with_what_would_do():
    with pytest.raises(
        LensError, match=r"is a TwoTensor.*one tensor of the same shape and format.*what it computes from"
    ):
        verified(network(lambda weight: weight), TwoTensor(X, X))
