"""Whether tensors that wrap others change anything: the program with them against the one with what is inside."""

from typing import Any

import torch
from torch import Tensor

from chainrule.base import LensError
from chainrule.lens.engine import difference
from chainrule.lens.tape import (
    RandomState,
    Subject,
    in_float64,
    inner_of,
    is_wrapper,
    modules_of,
    same_random_numbers,
    same_state,
    tensors_of,
)

# Both run the same operations in the same order; linear algebra may round otherwise by where its tensors lie.
ULPS = 64


def wrapped_otherwise(original: Subject, plain: Subject, state: RandomState) -> str:
    """Why what was verified, the program on what is inside, is another one than that with the wrapping classes.

    Nothing when loss and gradients of both are the same in float64, or when nothing wraps anything.
    """
    classes = sorted({type(one).__name__ for _, one in _tensors(original) if is_wrapper(one)})
    if not classes:
        return ""
    who = " and ".join(classes)
    try:
        theirs, gradients = _loss_and_gradients(in_float64(original, wrapped=True), state)
    except (RuntimeError, NotImplementedError, TypeError, ValueError, AttributeError, LensError) as fault:
        words = str(fault).splitlines()[0]
        return f"only what {who} wraps was verified, since with it the model does not run in float64: {words}"
    ours, expected = _loss_and_gradients(plain, state)
    eps = torch.finfo(torch.float64).eps
    if difference(0, theirs, ours, eps).relative > ULPS * eps:
        return f"{who} changes what is computed: the loss is {float(theirs):.9g}, and {float(ours):.9g} without it"
    for name, gradient in gradients.items():
        error = difference(0, gradient, expected[name], eps).relative
        if error > ULPS * eps:
            return f"{who} changes the gradient of {name} by {error:.1e} of what it is without it; the loss is the same"
    return ""


def _tensors(subject: Subject) -> list[tuple[str, Tensor]]:
    """Every tensor of the program, in the same order for each copy of it."""
    modules = [
        (name, one)
        for module in modules_of(subject)
        for name, one in [*module.named_parameters(), *module.named_buffers()]
    ]
    return [*modules, *((f"input {i}", one) for i, one in enumerate(tensors_of(subject)))]


def _loss_and_gradients(subject: Subject, state: RandomState) -> tuple[Tensor, dict[str, Tensor | None]]:
    leaves = [(name, one) for name, one in _tensors(subject) if one.requires_grad]
    with same_random_numbers(state), same_state(modules_of(subject)), torch.enable_grad():
        loss: Any = subject.run()
        found = torch.autograd.grad(loss, [one for _, one in leaves], allow_unused=True)
    gradients = {name: one for (name, _), one in zip(leaves, found, strict=True)}
    return inner_of(loss.detach()), {name: None if one is None else inner_of(one) for name, one in gradients.items()}
