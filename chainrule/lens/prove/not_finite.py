"""Losses and gradients that are NaN or infinite: where that began, and whether the loss has a slope there."""

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from chainrule.lens.engine import Policy, ReverseStep, coordinate_derivative, first_not_finite, first_step, reverse
from chainrule.lens.prove.locate import Place
from chainrule.lens.prove.number_checks import Engine
from chainrule.lens.prove.on_purpose import Change
from chainrule.lens.prove.proof import Report
from chainrule.lens.prove.step_verification import loss_of
from chainrule.lens.tape import Tape

# A slope is one when two estimates with other steps come to it so closely.
CERTAIN = 1e-3


def without_loss(name: str, against: tuple[str, ...], tape: Tape) -> Report | None:
    """The report on a loss that is NaN or infinite, which has no gradient to prove; None when it is finite."""
    loss = loss_of(tape)
    if math.isfinite(loss):
        return None
    why = f"the loss is {'NaN' if math.isnan(loss) else 'infinite'}, and has no gradient; {first_not_finite(tape)}"
    return Report(name, against, loss, (), {}, {}, None, None, (), 0, 0, 0, (), (), 0.0, tape, doubts=(why,))


@dataclass(frozen=True)
class NotFinite:
    """What is NaN or infinite among gradients of a finite loss. `changes` where the loss has a slope all the same."""

    changes: tuple[Change, ...] = ()
    doubts: tuple[str, ...] = ()
    place: Place | None = None


def not_finite_gradients(
    tape: Tape,
    gradients: Mapping[int, Mapping[Engine, Tensor | None]],
    forward: Callable[[], float],
    *,
    policy: Policy,
) -> NotFinite:
    """The first element of each gradient that is not finite: numbers say whether the loss has a slope there."""
    found = [(value, index) for value, one in gradients.items() if (index := _first(one)) is not None]
    if not found:
        return NotFinite()
    step = _where_it_began(tape, policy)
    where = "" if step is None else f"; first behind {step.node.op}, operation {step.node.id} at {step.node.site}"
    changes, doubts = [], []
    for value, index in found:
        leaf = tape.values[value]
        what = f"{leaf.name}[{', '.join(map(str, index))}]"
        slope = _slope(forward, leaf.in_program, index)
        if slope is None:
            doubts.append(f"the gradient of {what} is not finite, and the loss has no slope there{where}")
        else:
            changes.append(
                Change(f"not finite: ∂L/∂{what}, where the loss has the slope {slope:.6g}", None, math.inf, False)
            )
    return NotFinite(tuple(changes), tuple(doubts), None if step is None else _place(tape, step))


def _first(gradients: Mapping[Engine, Tensor | None]) -> tuple[int, ...] | None:
    """The place of the first element that is not finite in any engine's gradient."""
    for gradient in gradients.values():
        if gradient is not None and not bool(gradient.isfinite().all()):
            flat = int((~gradient.isfinite()).flatten().int().argmax())
            return tuple(int(i) for i in torch.unravel_index(torch.tensor(flat), gradient.shape))
    return None


def _slope(forward: Callable[[], float], tensor: Tensor | None, index: tuple[int, ...]) -> float | None:
    """The derivative by this element, if numbers settle on one."""
    if tensor is None or tensor.dtype != torch.float64:
        return None
    h0 = first_step(tensor, float(tensor.detach()[index]))
    one, other = (coordinate_derivative(forward, tensor, index, h0=h) for h in (h0, h0 / 3))
    size = max(abs(one.derivative), abs(other.derivative), 1e-6)
    settled = max(one.error, other.error, abs(one.derivative - other.derivative)) <= CERTAIN * size
    return one.derivative if settled else None


def _where_it_began(tape: Tape, policy: Policy) -> ReverseStep | None:
    """The first operation on the way back that made something not finite of finite gradients."""
    found: list[ReverseStep] = []

    def see(step: ReverseStep) -> None:
        if not found and _finite(step.incoming) and not _finite(one.gradient for one in step.outgoing):
            found.append(step)

    reverse(tape, see, policy=policy)
    return next(iter(found), None)


def _finite(gradients: Iterator[Tensor | None] | tuple[Tensor | None, ...]) -> bool:
    return all(one is None or bool(one.isfinite().all()) for one in gradients)


def _place(tape: Tape, step: ReverseStep) -> Place:
    node = step.node
    value = next(one.value for one in step.outgoing if not bool(one.gradient.isfinite().all()))
    return Place(node.id, node.op, node.module, node.site, tape.values[value].name, math.inf)
