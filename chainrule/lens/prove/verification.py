"""Three ways to one answer: autograd, the rules, and differences of the loss, on the same run in float64."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from chainrule.base import LensError
from chainrule.lens.engine import (
    OURS,
    Comparison,
    Holding,
    Limits,
    Policy,
    approximated,
    compare,
    cuts_of,
    differentiable,
    kinked,
    loss_to_differentiate,
    maker_of,
    narrower_segments,
    number_formats,
    reasons,
    sampled_limits,
    unit_roundoff,
)
from chainrule.lens.prove.blame import blame
from chainrule.lens.prove.locate import Place, locate
from chainrule.lens.prove.not_finite import not_finite_gradients, without_loss
from chainrule.lens.prove.number_checks import Engine, Numbers
from chainrule.lens.prove.on_purpose import (
    Allowed,
    WayBack,
    place_of_function,
    place_of_hook,
    place_of_unseen,
    way_back,
)
from chainrule.lens.prove.proof import ParameterCheck, Report
from chainrule.lens.prove.reproducible import check_reproducible
from chainrule.lens.prove.same_program import not_the_same
from chainrule.lens.prove.sampling import Weight, check_by_numbers
from chainrule.lens.prove.step_verification import verify_step
from chainrule.lens.prove.steps import Step
from chainrule.lens.prove.whole_functions import Judged, judge_functions
from chainrule.lens.tape import (
    Forward,
    Level,
    Node,
    RandomState,
    Subject,
    Tape,
    Target,
    Value,
    WatchedHook,
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
# A gradient that is zero by construction: so many roundings of the largest one at most, and rounding of this part.
FAINT, MOSTLY = 1e3, 0.03


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
        report = settings.verify(given, tape, forward, everywhere)
        report = replace(report, doubts=(*report.doubts, *([doubt] if doubt else ())))
        return report if holding.lost is None else without_numbers(report, holding.lost)


def without_numbers(report: Report, lost: Node) -> Report:
    """The report when the program went another way as its weights were moved: numbers then say nothing."""
    why = (
        f"numbers say nothing: moved a little, the program does something else at {lost.op}, {lost.site}; "
        "make what it does depend on shapes, not on numbers"
    )
    return replace(report, numbers=None, doubts=(*report.doubts, why))


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


@dataclass(frozen=True)
class Settings:
    """What a verification was asked for."""

    against: tuple[str, ...]
    coordinates: int
    seconds: float
    seed: int
    policy: Policy
    allowed: Allowed

    def verify(self, subject: Subject, tape: Tape, forward: Forward, everywhere: Sequence[WatchedHook]) -> Report:
        """The verification of a recorded run; `everywhere` are the hooks of all modules at once."""
        start, loss = time.perf_counter(), loss_to_differentiate(tape)
        without = without_loss(subject.name, self.against, tape)
        if without is not None:
            return without
        leaves = [leaf for leaf in tape.leaves() if leaf.differentiable]
        back = WayBack({}, None, ())
        if "autograd" in self.against:
            back = way_back(tape, forward.modules, everywhere, self.allowed)
        theirs = back.gradients
        gradients: dict[int, dict[Engine, Tensor | None]] = {leaf.id: {} for leaf in leaves}
        for leaf in leaves if theirs else ():
            gradients[leaf.id]["autograd"] = theirs[leaf.id]
        n_values = len(theirs)
        comparison, limits = self._compare(tape, theirs)
        for leaf in leaves if "rules" in self.against else ():
            gradients[leaf.id]["rules"] = comparison.ours.get(leaf.id)
        comparison.ours.clear()
        place = self._place(tape, back, limits)
        formats, why = number_formats(tape), reasons(tape, number_formats(tape))
        judged = judge_functions(tape, policy=self.policy, seed=self.seed)
        if judged.wrong and place is None:
            place = place_of_function(
                tape, maker_of(tape, tape.nodes[judged.wrong[0]]), max(one.change for one in judged.changes)
            )
        if isinstance(forward.holding, Holding):
            forward.holding.bend(judged.given)
        endless = not_finite_gradients(tape, gradients, forward, policy=self.policy)
        place = endless.place if endless.changes else place
        live = differentiable(tape)
        u = max(unit_roundoff(dtype) for value, dtype in formats.items() if value in live)
        left = self.seconds - (time.perf_counter() - start)
        numbers = self._numbers(tape, forward, leaves, gradients, limits, left, u)
        kept = tape.values[loss].tensor
        assert kept is not None
        errors, tolerances = _by_node(tape, limits)
        report = Report(
            name=subject.name,
            against=self.against,
            loss=float(kept.detach()),
            parameters=_with_zeros([_check_of(leaf, limits, why) for leaf in leaves], u),
            node_errors=errors,
            tolerance_of=tolerances,
            place=place,
            numbers=numbers,
            segments=narrower_segments(tape, formats),
            n_samples=limits.n_samples,
            n_values=n_values,
            skipped=comparison.n_unknown if theirs or n_values else 0,
            not_independent=comparison.fallback,
            cuts=cuts_of(tape),
            seconds=time.perf_counter() - start,
            tape=tape,
            seconds_left_out=limits.seconds_left_out,
            changes=(*back.changes, *judged.changes, *endless.changes),
            doubts=(
                *judged.open_points,
                *endless.doubts,
                *approximated(tape, max((limits.of(leaf.id).limit for leaf in leaves), default=0.0)),
            ),
            unused=self.allowed.unused,
        )
        if place is None and report.verdict == "wrong" and "rules" in self.against:
            blamed = blame(tape, policy=self.policy, seed=self.seed)
            report = replace(report, place=blamed or _unmeasured(tape, judged, report) or place_of_unseen(tape))
        return report

    def _place(self, tape: Tape, back: WayBack, limits: Limits) -> Place | None:
        """Where gradients went wrong first: an operation, a Function that wrote into what it was given, or a hook."""
        exceeded = limits.exceeded()
        if back.plain is not None:  # a hook changed something; what is wrong without it comes first
            apart = compare(tape, back.plain, policy=self.policy).differences
            exceeded = {value: one.relative for value, one in apart.items() if one.relative > limits.of(value).limit}
        if exceeded and back.writers:
            return place_of_function(tape, back.writers[0], max(exceeded.values()))
        place = locate(tape, exceeded, policy=self.policy)
        return place_of_hook(tape, back.guilty) if place is None and back.guilty is not None else place

    def _compare(self, tape: Tape, theirs: dict[int, Tensor | None]) -> tuple[Comparison, Limits]:
        if "rules" not in self.against:
            return Comparison({}, {}, (), 0), Limits({}, {}, 0)
        found = compare(tape, theirs, policy=self.policy)
        limits = sampled_limits(
            tape,
            found.ours,
            found.differences,
            policy=self.policy,
            seed=self.seed,
            seconds=self.seconds / 4,
        )
        return found, limits

    def _numbers(
        self,
        tape: Tape,
        forward: Forward,
        leaves: list[Value],
        gradients: Mapping[int, Mapping[Engine, Tensor | None]],
        limits: Limits,
        seconds: float,
        u: float,
    ) -> Numbers | None:
        if "numbers" not in self.against:
            return None
        # Weights in a narrower format cannot be moved by small steps, nor leaves that each run makes anew.
        wide = [one for one in leaves if one.meta.dtype in (torch.float64, torch.complex128) and one.producer is None]
        weights = [Weight(leaf, gradients[leaf.id], limits.of(leaf.id).limit) for leaf in wide]
        if not weights:
            return None
        return check_by_numbers(
            forward,
            weights,
            self.coordinates,
            seed=self.seed,
            seconds=max(seconds, 0.0),
            u=u,
            watch=kinked(tape),
        )


def _unmeasured(tape: Tape, judged: Judged, report: Report) -> Place | None:
    """A custom Function that cannot be judged by itself, where numbers contradict and no operation is to blame."""
    if not judged.unmeasured or not report.contradictions:
        return None
    error = max(one.error(engine) for one in report.contradictions for engine in ("autograd", "rules"))
    return place_of_function(tape, maker_of(tape, tape.nodes[judged.unmeasured[0]]), error)


def _check_of(leaf: Value, limits: Limits, why: Mapping[int, str]) -> ParameterCheck:
    reason = why.get(leaf.id, "the loss does not depend on it")
    return ParameterCheck(leaf.name, leaf.meta.shape, limits.differences.get(leaf.id), limits.of(leaf.id), reason)


def _with_zeros(checks: list[ParameterCheck], u: float) -> tuple[ParameterCheck, ...]:
    """Marks the gradients that are zero by construction: rounding makes up most of them, and beside others they vanish.

    `u` is the unit roundoff of the narrowest format. A sum that cancels leaves rounding of its terms, so that what is
    left is as small beside them as a rounding is; terms are no larger than the largest gradient by much.
    """
    largest_of_all = max((one.difference.size for one in checks if one.difference is not None), default=0.0)

    def zero(one: ParameterCheck) -> bool:
        size = 0.0 if one.difference is None else one.difference.size
        return 0 < size <= FAINT * u * largest_of_all and one.tolerance.expected >= MOSTLY

    return tuple(replace(one, zero=zero(one)) for one in checks)


def _by_node(tape: Tape, limits: Limits) -> tuple[dict[int, float], dict[int, float]]:
    """The error and the limit of each operation's results: of the one whose error is largest beside its limit."""
    errors: dict[int, float] = {}
    allowed: dict[int, float] = {}
    for value, one in limits.differences.items():
        node, limit = tape.values[value].producer, limits.of(value).limit
        if node is None:
            continue
        if node not in errors or one.relative * allowed[node] >= errors[node] * limit:
            errors[node], allowed[node] = one.relative + 0.0, limit
    return errors, allowed
