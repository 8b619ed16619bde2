"""The gradient of a recorded run by the rules and by autograd, side by side."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from chainrule.lens import record, reverse
from chainrule.lens.engine import differentiable
from chainrule.lens.rules import RULES
from chainrule.lens.tape import Tape


def both(tape: Tape) -> dict[str, tuple[Tensor | None, Tensor | None]]:
    """For every leaf by name: our gradient and autograd's of the same run; None where there is none."""
    ours, leaves = reverse(tape), tape.leaves()
    loss = tape.values[tape.loss].tensor
    theirs = torch.autograd.grad(loss, [leaf.edge or leaf.tensor for leaf in leaves], allow_unused=True)
    return {leaf.name: (ours.get(leaf.id), gradient) for leaf, gradient in zip(leaves, theirs, strict=True)}


def largest_errors(tape: Tape) -> dict[str, float]:
    """|ours − autograd's|∞ / |autograd's|∞ for every leaf; infinite where only one of them has a gradient."""
    return {name: error(*pair) for name, pair in both(tape).items() if pair != (None, None)}


def error(ours: Tensor | None, theirs: Tensor | None) -> float:
    if ours is None or theirs is None:
        return float("inf")
    size = float(theirs.abs().max()) if theirs.numel() else 0.0
    difference = float((ours - theirs).abs().max()) if theirs.numel() else 0.0
    return difference / size if size else difference


def missing_rules(tape: Tape) -> set[str]:
    """The operations on the way back that have no rule."""
    live = differentiable(tape)
    return {node.op for node in tape.nodes if live.intersection(node.outputs) and node.rule_name not in RULES}


def curved(result: Any) -> Tensor:
    """A loss in which every element of the result counts differently."""
    return (result * (result.detach() + 0.3).cos()).sum()


def recorded(program: Callable[..., Any], *tensors: Tensor, **how: Any) -> Tape:
    """The tape of a program on copies of the tensors that require a gradient."""
    return record(program, *(tensor.clone().requires_grad_() for tensor in tensors), loss=curved, **how)
