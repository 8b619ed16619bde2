"""Custom autograd Functions as they run: taken as a whole, where their forward pass is not followed, or replaced."""

import functools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.autograd import Function
from torch.utils._pytree import tree_leaves

from chainrule.lens.tape.nodes import Node, Tape

# What these make does not move with what they read.
STOPPING = ("detach", "new_zeros", "new_ones", "new_full")
LEAVING = ("_local_scalar_dense", "tolist")

# What a call of a Function's forward is handed to: the class, its arguments, and the call itself.
Around = Callable[[type[Function], tuple[Any, ...], Callable[[], Any]], Any]


@dataclass(frozen=True)
class FunctionCall:
    """One call of a custom Function that stands on a tape as one operation. `number` counts the calls of a run."""

    function: type[Function]
    arguments: tuple[Any, ...]
    number: int
    allowed: bool
    # As an operation of torch says of itself.
    tags: ClassVar[tuple[object, ...]] = ()
    _schema: ClassVar[SimpleNamespace] = SimpleNamespace(arguments=())

    @property
    def places(self) -> tuple[int, ...]:
        """Which arguments are tensors."""
        return tuple(i for i, one in enumerate(self.arguments) if isinstance(one, Tensor))

    def run(self, tensors: list[Tensor]) -> list[Tensor]:
        """The results for other tensors in the places of those that it was given."""
        given = list(self.arguments)
        for place, tensor in zip(self.places, tensors, strict=True):
            wanted = self.arguments[place].requires_grad
            given[place] = tensor.detach().clone().requires_grad_(wanted)
        with torch.enable_grad():
            made = self.function.apply(*given)  # type: ignore[no-untyped-call]
        return [one.detach() for one in tree_leaves(made) if isinstance(one, Tensor)]


@contextmanager
def around_functions(around: Around) -> Iterator[None]:
    """Inside, `around` is asked for the result of each forward pass of a custom Function that is not torch's own."""
    patched = [(one, one.__dict__["forward"]) for one in _written(Function) if "forward" in one.__dict__]
    for one, forward in patched:
        one.forward = staticmethod(_around(one, forward.__func__, around))
    try:
        yield
    finally:
        for one, forward in patched:
            one.forward = forward


def _around(owner: type[Function], forward: Callable[..., Any], around: Around) -> Callable[..., Any]:
    @functools.wraps(forward)
    def call(*given: Any) -> Any:
        # With `setup_context` the forward pass has no context, which would tell the class that was called.
        called = getattr(type(given[0]), "_forward_cls", None) if given else None
        arguments = given if called is None else given[1:]
        return around(called or owner, arguments, lambda: forward(*given))

    return call


def _written(base: type[Any]) -> Iterator[Any]:
    """All classes of Functions but those of torch."""
    one: Any
    for one in base.__subclasses__():
        if not one.__module__.startswith("torch."):
            yield one
        yield from _written(one)


def is_opaque(tape: Tape, made: list[int], read: list[int], inside: list[Node], first_value: int) -> bool:
    """Whether a result of a Function comes from numbers that no recorded operation made of its arguments.

    A number that went to Python (`x.norm().item()`) is one: here it stops no gradient, since the backward pass is
    written by hand, and whether it knows of it the operations cannot tell. `made` and `read` are the values of its
    results and arguments, `inside` the operations of its forward pass, whose values begin with `first_value`.
    """
    reached, blank = set(read), set[int]()
    for node in inside:
        inputs = set(node.inputs)
        writes = {node.arguments["self"].value} if node.in_place and "self" in node.arguments else set()
        unknown = [tape.values[one] for one in inputs if one >= first_value]
        if any(one.role == "constant" for one in unknown) or blank.intersection(inputs - writes):
            return True
        if node.rule_name in LEAVING and any(tape.values[one].differentiable for one in reached & inputs):
            return True
        if node.rule_name.startswith(("empty", "new_empty")):
            blank.update(node.outputs)
        elif node.rule_name not in STOPPING and not node.rule_name.endswith("_like") and reached & inputs:
            reached.update(node.outputs)
    numbers = [one for one in made if tape.values[one].differentiable]
    return bool(read) and any(one not in reached for one in numbers)
