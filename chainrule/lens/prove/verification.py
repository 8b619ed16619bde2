"""Three ways to one answer: autograd, the rules, and differences of the loss, on the same run in float64."""

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from chainrule.base import LensError, freed_memory_kept
from chainrule.lens.engine import OURS, Holding, Policy, loss_to_differentiate
from chainrule.lens.prove.judging import Settings
from chainrule.lens.prove.on_purpose import Allowed
from chainrule.lens.prove.proof import Report
from chainrule.lens.prove.reproducible import check_reproducible
from chainrule.lens.prove.same_program import not_the_same
from chainrule.lens.prove.sampling import LARGE
from chainrule.lens.prove.step_verification import verify_step
from chainrule.lens.prove.steps import Step
from chainrule.lens.tape import (
    Forward,
    Level,
    Node,
    RandomState,
    Subject,
    Tape,
    Target,
    Widened,
    as_plain_tensors,
    in_float64,
    modules_of,
    random_state,
    same_random_numbers,
    same_state,
    subject_of,
    watching_everywhere,
)

WAYS = ("autograd", "rules", "numbers")
SECONDS = 40.0


@as_plain_tensors()
def verify(
    target: Target | Subject | None = None,
    batch: Any = (),
    loss: Callable[[Any], Tensor] | None = None,
    *,
    coordinates: int = 64,
    seconds: float | None = None,
    seed: int = 0,
    against: Sequence[str] = WAYS,
    policy: Policy = OURS,
    level: Level = "op",
    step: Step | None = None,
    allow: Sequence[str] = (),
) -> Report:
    """Holds autograd's gradients, those of the rules and numerical differences against each other; see `Report`.

    `batch` is the argument of `target`, a tuple of several, or a dict of named ones; `loss` makes one number of the
    result when it is not one (and holds none as `.loss`). Everything is copied and run in float64 on the CPU; model,
    random numbers and gradients of the caller stay as they are. `seconds` (40 when not given) is the time for sampling
    rounding errors and numerical differences: with less than `coordinates` done, the report says so.

    `against` names two or three of "autograd", "rules", "numbers". The `policy` has the rules; its fallback
    lets autograd differentiate operations that have none, which the report names.

    `allow` names hooks and custom Functions that change gradients on purpose (clipping, reversal, straight-through), by
    line or name: `["gradient reversal at line 12", "layers.py:40", "Reverse"]`. The report lists them, and what lies
    behind them is held against what they give.

    With `step=` (what `capture` returned) and no target: the gradients that a step really left, in its own formats and
    on its own device, against the rules in float64; `seed`, `seconds` and `policy` go for it too.

    Raises LensError when there is nothing to verify (no scalar loss, no parameters), when an operation has no rule,
    when the model cannot run in float64, or when two equal runs differ. Raises DeviceError when it asks for a GPU.
    """
    _check(against, coordinates)
    if (step is None) == (target is None):
        raise LensError("verify takes a model or function, or step=capture(…), one of the two")
    if step is not None:
        return verify_step(step, policy=policy, seed=seed, seconds=seconds or SECONDS)
    assert target is not None
    settings = Settings(tuple(against), coordinates, seconds or SECONDS, seed, policy, Allowed(allow))
    original = subject_of(target, batch, loss)
    given = in_float64(original)
    with same_random_numbers(_seeded(seed)), torch.enable_grad(), watching_everywhere() as everywhere:
        state, modules = random_state(given), modules_of(given)
        given, tape = _record(given, state, modules, level, settings.allowed)
        loss_to_differentiate(tape)
        check_reproducible(given, tape, state, modules)
        # A backward pass that draws random numbers must not happen to draw those of the forward pass.
        _seeded(seed + 1).restore()
        forward, holding = Forward(given, state, modules), Holding(tape)
        forward.holding, forward.goes_back = holding, tape.goes_back
        doubt = not_the_same(original, tape, state, forward)
        with freed_memory_kept() if _n_numbers(tape) > LARGE else nullcontext():
            report = settings.judge(given.name, tape, forward, everywhere)
        report = replace(report, doubts=(*report.doubts, *([doubt] if doubt else ())))
        return report if holding.lost is None else without_numbers(report, holding.lost)


def without_numbers(report: Report, lost: Node) -> Report:
    """The report when the program went another way as its weights were moved: numbers then say nothing."""
    why = (
        f"numbers say nothing: moved a little, the program does something else at {lost.op}, {lost.site}; "
        "make what it does depend on shapes, not on numbers"
    )
    return replace(report, numbers=None, doubts=(*report.doubts, why))


def _n_numbers(tape: Tape) -> int:
    """In the tensors that gradients are of."""
    return sum(leaf.meta.n_elements for leaf in tape.leaves())


def _check(against: Sequence[str], coordinates: int) -> None:
    unknown = [one for one in against if one not in WAYS]
    if unknown or len(set(against)) < 2:
        raise LensError(f"against={tuple(against)!r}: name two or three of {', '.join(WAYS)}")
    if coordinates < 0:
        raise LensError(f"coordinates={coordinates}: give the number of weights to check by differences, 0 or more")


def _seeded(seed: int) -> RandomState:
    with same_random_numbers(RandomState()):
        torch.manual_seed(seed)
        return RandomState()


def _record(
    subject: Subject, state: RandomState, modules: list[nn.Module], level: Level, allowed: Allowed
) -> tuple[Subject, Tape]:
    """The run, in float64, and the subject as it did run; says which line refuses that.

    What refuses at first is run once more with narrower formats widened where they meet float64.
    """
    try:
        with same_random_numbers(state), same_state(modules):
            return subject, subject.record(level=level, whole=allowed.whole)
    except RuntimeError as fault:
        words = str(fault).splitlines()[0]
        if any(word in words.lower() for word in ("dtype", "scalar type", "double", "float")):
            if subject.around is not Widened:
                return _record(replace(subject, around=Widened), state, modules, level, allowed)
            raise LensError(
                f"{subject.name} does not run in float64: {words}. Make the formats follow the weights "
                "(x.to(weight.dtype)), or verify a step as it runs, with capture()"
            ) from fault
        raise
