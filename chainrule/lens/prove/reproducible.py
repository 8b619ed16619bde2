"""Whether two equal runs give the same loss; if not, the first operation that differs, and how to fix the seed."""

import torch
from torch import Tensor, nn

from chainrule.base import LensError
from chainrule.lens.tape import Node, RandomState, Subject, Tape, leaves_before, same_random_numbers, same_state

# By so much two equal runs of LAPACK were seen to differ, times four; other random numbers differ by far more.
ULPS = 16

REMEDY = (
    "Draw random numbers from torch's own generator (or random, or numpy.random), which are put back before each run; "
    "a torch.Generator of the model's own: make it inside forward, with a fixed seed; no time, no counters, no threads"
)


def check_reproducible(subject: Subject, tape: Tape, state: RandomState, modules: list[nn.Module]) -> None:
    """Runs the subject once more from the same random numbers; raises LensError unless the loss is the same.

    A recording in core ATen rounds otherwise than a plain run, and is held against another recording. Linear algebra
    may round otherwise by where its tensors lie in memory: a few units in the last place are no other random numbers.
    """
    if tape.loss is None:
        return
    with same_random_numbers(state), same_state(modules), leaves_before(tape):
        second = _again(subject, tape).detach()
    first = _kept(tape, tape.loss)
    if same_bits(first, second) or _same_but_rounding(first, second):
        return
    with same_random_numbers(state), same_state(modules), leaves_before(tape):
        again = subject.record(level=tape.level)
    place = first_difference(tape, again)
    where = "a place that the tape does not show"
    if place is not None:
        module = f" in module {place.module!r}" if place.module else ""
        where = f"{place.op} at {place.site}{module}: `{place.site.shown if place.site else ''}`"
    raise LensError(
        f"two runs of {subject.name} from equal random numbers differ ({float(first)!r} and {float(second)!r}), first "
        f"in {where}. {REMEDY}"
    )


def _again(subject: Subject, tape: Tape) -> Tensor:
    """The loss of one more run of the same operations."""
    if tape.level == "op":
        found: Tensor = subject.run()
        return found
    again = subject.record(level=tape.level)
    assert again.loss is not None
    return _kept(again, again.loss)


def _same_but_rounding(one: Tensor, other: Tensor) -> bool:
    eps = torch.finfo(one.dtype).eps
    return one.dtype == other.dtype and bool((one - other).abs() <= ULPS * eps * torch.maximum(one.abs(), other.abs()))


def first_difference(one: Tape, other: Tape) -> Node | None:
    """The first operation that made other numbers in the second recording, or that is another one; None if none is."""
    for mine, theirs in zip(one.nodes, other.nodes, strict=False):
        if mine.op != theirs.op or len(mine.outputs) != len(theirs.outputs):
            return theirs
        for a, b in zip(mine.outputs, theirs.outputs, strict=True):
            # What was allocated and not written yet has no meaning.
            if not mine.op.startswith(("empty", "new_empty")) and not same_bits(_kept(one, a), _kept(other, b)):
                return theirs
    return None


def same_bits(one: Tensor, other: Tensor) -> bool:
    """Whether two tensors hold the same numbers; NaN equals NaN."""
    if one.shape != other.shape or one.dtype != other.dtype:
        return False
    return bool(((one == other) | (one.isnan() & other.isnan())).all())


def _kept(tape: Tape, value: int) -> Tensor:
    tensor = tape.values[value].tensor
    assert tensor is not None
    return tensor.detach()
