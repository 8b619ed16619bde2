"""A training step as it really ran: its weights, batch and number formats, and the gradients that it left behind."""

import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from chainrule.base import LensError
from chainrule.lens.engine import loss_to_differentiate, needed_constants, number_formats
from chainrule.lens.prove.no_way_back import no_way_back
from chainrule.lens.tape import (
    RandomState,
    Subject,
    Tape,
    Target,
    modules_of,
    same_buffers,
    same_random_numbers,
    subject_of,
)


@dataclass(frozen=True)
class Step:
    """What `capture` kept. `formats` is the number format of each value of `tape` as it ran.

    `tape` holds the operations, the weights and everything that carries no gradient; `gradients` what the step left, by
    value number, None where it left nothing. `loss` is None when only the caller's own `run` knows it.
    """

    name: str
    tape: Tape
    formats: dict[int, torch.dtype]
    gradients: dict[int, Tensor | None]
    loss: float | None
    device: str


def capture(
    target: Target | Subject,
    batch: Any = (),
    loss: Callable[[Any], Tensor] | None = None,
    *,
    run: Callable[[], Tensor | None] | None = None,
) -> Step:
    """Runs one forward and backward pass as the caller set it up, and keeps what `verify(step=…)` needs.

    Called where the training step would be: under the same autocast, on the same device. `run` does forward and
    backward itself where that is more than calling `target`: a compiled model, a scaled loss (it divides the gradients
    by the scale again). It may return the loss. `target` and `batch` then say what it computes, uncompiled. A second,
    plain run from the same random numbers shows which operation computed in which format.

    Weights, gradients, buffers and random numbers of the caller are as before when it returns. Raises LensError when
    there is no loss to differentiate, and when autograd cannot go back from it.
    """
    subject = subject_of(target, batch, loss)
    modules, state = modules_of(subject), RandomState()
    with same_random_numbers(state), same_buffers(modules), _unfused(modules):
        tape = subject.record()
    loss_to_differentiate(tape)
    tensors = {leaf.id: leaf.tensor for leaf in tape.leaves() if leaf.tensor is not None}
    with same_random_numbers(state), same_buffers(modules), _gradients_put_back(list(tensors.values())):
        found = run() if run is not None else _as_written(subject, tape)
        gradients = {number: _copied(tensor.grad) for number, tensor in tensors.items()}
    if all(gradient is None for gradient in gradients.values()):
        raise LensError("the step left no gradient in any .grad; run= has to call backward() on the loss of this model")
    device = str(next(iter(tensors.values())).device)
    return Step(
        subject.name,
        _slim(tape),
        number_formats(tape),
        gradients,
        None if found is None else float(found.detach()),
        device,
    )


def forward_and_backward(subject: Subject) -> Tensor:
    """The loss of one step: forward under the caller's autocast, backward outside it, as it should be."""
    loss = subject.run(compiled=True)
    _backward(loss)
    return loss


def _as_written(subject: Subject, tape: Tape) -> Tensor:
    """The same; where autograd cannot go back, the recording says at which operation."""
    loss = subject.run(compiled=True)
    try:
        _backward(loss)
    except RuntimeError as fault:
        raise LensError(no_way_back(tape, fault)) from fault
    return loss


def _backward(loss: Tensor) -> None:
    with ExitStack() as outside:
        for device in ("cpu", "cuda"):
            outside.enter_context(torch.autocast(device, enabled=False))
        torch.autograd.backward(loss)


@contextmanager
def _unfused(modules: Sequence[nn.Module]) -> Iterator[None]:
    """Inside, recurrent layers are plain products: MKLDNN's fused ones know no float64, in which they are replayed."""
    if not any(isinstance(one, nn.RNNBase) for one in modules):
        yield
        return
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of settings for Intel's GPUs, which are not touched
        with torch.backends.mkldnn.flags(enabled=False):
            yield


def _copied(gradient: Tensor | None) -> Tensor | None:
    return None if gradient is None else gradient.detach().to("cpu", copy=True)


@contextmanager
def _gradients_put_back(tensors: list[Tensor]) -> Iterator[None]:
    """Inside, no tensor has a gradient; outside, each has the one that it had."""
    before = [tensor.grad for tensor in tensors]
    for tensor in tensors:
        tensor.grad = None
    try:
        yield
    finally:
        for tensor, gradient in zip(tensors, before, strict=True):
            tensor.grad = gradient


def _slim(tape: Tape) -> Tape:
    """The tape with only what a replay needs, as copies, so that it outlives the next update of the weights."""
    needed = needed_constants(tape)
    for value in tape.values:
        value.tensor = _copied(value.tensor) if value.id in needed else None
        value.edge = None
    return tape
