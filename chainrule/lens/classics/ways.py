"""The gradients of a small subject three ways: by the rules, by autograd, by numbers."""

from itertools import product

import torch
from torch import Tensor

from chainrule.lens.engine import coordinate_derivative, reverse
from chainrule.lens.tape import Subject, Tape


def by_rules(tape: Tape) -> dict[str, Tensor]:
    """The gradient of each leaf, by name, from our own reverse mode."""
    return {tape.values[value].name: gradient for value, gradient in reverse(tape).items()}


def by_autograd(tape: Tape) -> dict[str, Tensor]:
    """The gradient of each leaf, by name, from autograd, of the same run."""
    leaves = {leaf.name: leaf.tensor for leaf in tape.leaves() if leaf.tensor is not None}
    assert tape.loss is not None
    loss = tape.values[tape.loss].tensor
    assert loss is not None
    found = torch.autograd.grad(loss, list(leaves.values()), retain_graph=True, allow_unused=True)
    return {name: g for name, g in zip(leaves, found, strict=True) if g is not None}


def by_numbers(subject: Subject, tape: Tape) -> dict[str, Tensor]:
    """The gradient of each leaf, by name, one element after the other: the loss a little above and below."""

    def forward() -> float:
        with torch.no_grad():
            result = subject.target(*subject.inputs, **subject.named)
            return float(subject.loss(result) if subject.loss is not None else result)

    found = {}
    for leaf in tape.leaves():
        assert leaf.tensor is not None
        gradient = torch.empty_like(leaf.tensor, requires_grad=False)
        for place in product(*map(range, leaf.meta.shape)):
            gradient[place] = coordinate_derivative(forward, leaf.tensor, place).derivative
        found[leaf.name] = gradient
    return found


def largest_difference(one: dict[str, Tensor], other: dict[str, Tensor]) -> float:
    """The largest difference of two gradients, in shares of the largest element of the same tensor."""
    return max(float((one[name] - other[name]).abs().max() / one[name].abs().max().clamp(min=1e-300)) for name in one)
