"""One element of a weight, followed from the loss: the numbers that are multiplied and added on the way to it."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from chainrule.base import LensError, nearest
from chainrule.lens.engine import ReverseStep, differentiable
from chainrule.lens.rules import Call
from chainrule.lens.tape import Tape, Value

N_TERMS = 4
NAMES_SHOWN = 8


@dataclass(frozen=True)
class Term:
    """One product of the sum: the gradient at `index` of the output, times how that element depends on ours."""

    output: int
    index: tuple[int, ...]
    gradient: float
    local: float
    product: float


@dataclass(frozen=True)
class Use:
    """What one use of the value gave to the gradient at our place."""

    node: int
    argument: str
    number: float


@dataclass(frozen=True)
class PathStep:
    """One operation on the way: `number` is the sum of `n_terms` products, of which `terms` are the largest.

    Products that are 0 are not counted, and `rest` is the sum of those not listed. `others` are further uses of the
    same element, and `total`, the gradient at `index` of `value`, is `number` and theirs together. The first term is
    followed: its `gradient` is the `total` of the step before. Without terms nothing that goes out depends on our
    element, and the way ends there.
    """

    node: int
    argument: str
    value: int
    index: tuple[int, ...]
    terms: tuple[Term, ...]
    n_terms: int
    rest: float
    number: float
    others: tuple[Use, ...]
    total: float


@dataclass(frozen=True)
class CoordinatePath:
    """From the loss to element `index` of a leaf of `tape`. The last step's `total` is `gradient`."""

    name: str
    value: int
    index: tuple[int, ...]
    number: float
    gradient: float
    steps: tuple[PathStep, ...]
    tape: Tape = field(repr=False, compare=False)


def find_leaf(tape: Tape, name: str) -> Value:
    """The parameter or input of that name, or of `name.weight`; raises LensError when it is none with a gradient."""
    leaf = tape.named(name) or tape.named(f"{name}.weight")
    known = [leaf.name for leaf in tape.leaves()]
    if leaf is None:
        there = ", ".join(known[:NAMES_SHOWN]) + (
            f" and {len(known) - NAMES_SHOWN} more" if known[NAMES_SHOWN:] else ""
        )
        near = nearest(name, [*known, *tape.tied])
        raise LensError(f"{tape.target} has no weight {name!r}.{near} It has {there or 'none'}")
    if leaf.producer is not None or not leaf.requires_grad:
        raise LensError(f"{leaf.name} has no gradient of its own; ask for a weight, or an input that requires one")
    return leaf


def check_index(leaf: Value, index: tuple[int, ...]) -> tuple[int, ...]:
    """The index with negative numbers counted from the end; raises LensError when there is no such element."""
    shape = leaf.meta.shape
    if len(index) != len(shape):
        raise LensError(
            f"{leaf.name} has the shape {list(shape)}: the coordinate {list(index)} needs {len(shape)} numbers"
        )
    for axis, (i, n) in enumerate(zip(index, shape, strict=True)):
        if not -n <= i < n:
            raise LensError(
                f"coordinate {list(index)}: {i} is out of range on axis {axis} of {leaf.name}; use 0 to {n - 1}"
            )
    return tuple(i % n for i, n in zip(index, shape, strict=True))


def follow(
    tape: Tape,
    leaf: Value,
    index: tuple[int, ...] | None,
    gradients: Mapping[int, Tensor],
    walked: Mapping[int, ReverseStep],
) -> CoordinatePath:
    """Goes up from the leaf to the loss, at every sum along its largest term, and returns the way down.

    Without an index it is the element with the largest gradient.
    """
    uses: dict[int, list[tuple[ReverseStep, str, Tensor]]] = {}
    for step in walked.values():
        for one in step.outgoing:
            uses.setdefault(one.value, []).append((step, one.argument, one.gradient))
    assert leaf.tensor is not None
    if leaf.id not in gradients:
        raise LensError(f"the loss of {tape.target} does not depend on {leaf.name}: there is no path to follow")
    if index is None:
        largest = torch.unravel_index(gradients[leaf.id].abs().argmax(), leaf.meta.shape)
        index = tuple(int(i) for i in largest)
    wanted = differentiable(tape)
    steps: list[PathStep] = []
    value, place = leaf.id, index
    while value in uses:
        _refuse_complex(tape, uses[value][0][0])
        found = _step(tape, value, place, uses[value], wanted)
        steps.append(found)
        if not found.terms:
            break
        value, place = found.terms[0].output, found.terms[0].index
    number, gradient = float(leaf.tensor.detach()[index]), float(gradients[leaf.id][index])
    return CoordinatePath(leaf.name, leaf.id, index, number, gradient, tuple(reversed(steps)), tape)


def _refuse_complex(tape: Tape, step: ReverseStep) -> None:
    values = [tape.values[number] for number in (*step.node.inputs, *step.node.outputs)]
    if any(value.meta.dtype.is_complex for value in values):
        raise LensError(
            f"the way goes through complex numbers ({step.node.op} at {step.node.site}); only real ones can be followed"
        )


def _step(
    tape: Tape,
    value: int,
    index: tuple[int, ...],
    uses: list[tuple[ReverseStep, str, Tensor]],
    wanted: frozenset[int],
) -> PathStep:
    """The sum at one place: its largest use is taken apart into products, the others are kept as numbers."""
    numbers = [float(gradient[index]) for _, _, gradient in uses]
    chosen = max(range(len(uses)), key=lambda i: abs(numbers[i]))
    step, argument, _ = uses[chosen]
    terms = _terms(tape, step, argument, index, wanted)
    others = tuple(Use(s.node.id, a, numbers[i]) for i, (s, a, _) in enumerate(uses) if i != chosen)
    rest = sum(term.product for term in terms[N_TERMS:])
    return PathStep(
        step.node.id,
        argument,
        value,
        index,
        tuple(terms[:N_TERMS]),
        len(terms),
        rest,
        numbers[chosen],
        others,
        sum(numbers),
    )


def _terms(tape: Tape, step: ReverseStep, argument: str, index: tuple[int, ...], wanted: frozenset[int]) -> list[Term]:
    """All products that make the gradient at `index`, largest first.

    A pullback is linear in the gradients that come in. Its coefficients for one element that goes out are the local
    derivatives of every output element by that element; autograd reads them off our own rule.
    """
    if step.rule is None:
        raise LensError(
            f"{step.node.op} at {step.node.site} has no rule of ours, so the coordinate cannot be followed through it"
        )
    ask = [None if g is None else g.clone().requires_grad_() for g in step.incoming]
    with torch.enable_grad(), _WithoutOut():
        result = step.rule.pullback(Call(tape, step.node, wanted), *ask)
        base, _, position = argument.partition("[")
        found = result[base]
        out = found if isinstance(found, Tensor) else found[int(position.rstrip("]"))]
        assert out is not None
        if not out.requires_grad:
            return []
        given = [g for g in ask if g is not None]
        locals_ = torch.autograd.grad(out[index], given, allow_unused=True)
    terms: list[Term] = []
    outputs = [(value, g) for value, g in zip(step.node.outputs, step.incoming, strict=True) if g is not None]
    for (value, g), local in zip(outputs, locals_, strict=True):
        if local is not None:
            products = g * local
            # By the local derivatives alone: a gradient that arrives may be 0 on one processor and 1e-40 on another,
            # and the number of products would be another with it.
            places = local.nonzero().tolist()
            terms += [
                Term(value, where, float(g[where]), float(local[where]), float(products[where]))
                for where in map(tuple, places)
            ]
    total, size = sum(term.product for term in terms), sum(abs(term.product) for term in terms)
    number = float(next(one.gradient[index] for one in step.outgoing if one.argument == argument))
    assert abs(total - number) <= math.sqrt(torch.finfo(out.dtype).eps) * size, (
        f"{step.node.op}: {total} is not {number}"
    )
    return sorted(terms, key=lambda term: -abs(term.product))


class _WithoutOut(TorchFunctionMode):
    """Lets `out=` make a new tensor: autograd cannot look through a result that is written over something else."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return func(*args, **{name: one for name, one in (kwargs or {}).items() if name != "out"})


def parse_coordinate(text: str) -> tuple[int, ...]:
    """3,7 as (3, 7); raises LensError for anything but whole numbers with commas between."""
    try:
        return tuple(int(part) for part in text.strip("[]() ").split(",") if part.strip())
    except ValueError:
        raise LensError(f"coordinate {text!r} is not a place; write whole numbers with commas, such as 3,7") from None
