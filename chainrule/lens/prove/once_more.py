"""Whether a program goes back once more as it did at first, in a run as training makes it, with what that leaves.

A backward pass that the program brings along may count how often it is called, add to what it kept, or read what the
run left in a module. Then the first step is right and the next is not; or the recorded run, whose traces are put back
before anybody goes back, is right, and training is not.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from chainrule.base import LensError
from chainrule.lens.engine import CustomFunctions, Limits, Policy, autograd_gradients, compare, difference
from chainrule.lens.prove.locate import Place, locate
from chainrule.lens.prove.on_purpose import Allowed, Change
from chainrule.lens.prove.reproducible import same_bits
from chainrule.lens.tape import Forward, Tape, leaves_before, same_state


@dataclass(frozen=True)
class OnceMore:
    """What differs when the program runs once more: who, and where; or why that cannot be told."""

    change: Change | None = None
    place: Place | None = None
    doubt: str = ""


def once_more(
    tape: Tape, forward: Forward, first: Mapping[int, Tensor | None], limits: Limits, policy: Policy, allowed: Allowed
) -> OnceMore:
    """Runs and goes back once more, from the same random numbers and the same state, which is put back afterwards.

    `first` are the gradients by leaves on the first way back. Only a program with custom Functions is asked: torch's
    own backward passes keep nothing.
    """
    if not CustomFunctions(tape).backward_of:
        return OnceMore()
    forward.state.restore()
    with same_state(forward.modules), leaves_before(tape), torch.enable_grad():
        again = forward.subject.record(level=tape.level, whole=allowed.whole)
        if not _is_the_same(tape, again):
            return OnceMore()  # what differs from run to run is told elsewhere
        try:
            theirs = autograd_gradients(again)
        except (RuntimeError, LensError) as fault:
            words = (str(fault).strip().splitlines() or [type(fault).__name__])[0]
            return OnceMore(doubt=f"run once more, the way back ends in an error: {words}")
        if not _apart(first, theirs, limits):
            return OnceMore()
        found = compare(again, theirs, policy=policy).differences
        wrong = {value: one.relative for value, one in found.items() if one.relative > limits.of(value).limit}
        place = locate(again, wrong, policy=policy)
    if place is None:
        return OnceMore(doubt="run once more, the gradients are others, and it cannot be told where")
    name = place.called.removeprefix("custom Function ")
    change = Change(f"{place.called}, run once more", place.function_site, place.relative, allowed.allows(name, []))
    return OnceMore(change, replace(place, once_more=True))


def _is_the_same(tape: Tape, again: Tape) -> bool:
    """Whether the second run did the same operations, to the same loss."""
    if tape.loss is None or tape.loss != again.loss:
        return False
    if [one.op for one in tape.nodes] != [one.op for one in again.nodes]:
        return False
    one, other = (run.values[tape.loss].tensor for run in (tape, again))
    return one is not None and other is not None and same_bits(one.detach(), other.detach())


def _apart(first: Mapping[int, Tensor | None], second: Mapping[int, Tensor | None], limits: Limits) -> bool:
    """Whether a gradient is another than at first, by more than rounding explains."""
    return any(
        value in second and difference(value, one, second[value], 0.0).relative > limits.of(value).limit
        for value, one in first.items()
    )
