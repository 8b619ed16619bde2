"""A recorded run judged: its gradients three ways, what rounding explains, the place of what is wrong, the report."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from chainrule.lens.engine import (
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
from chainrule.lens.ledgers import flops_of
from chainrule.lens.prove.blame import blame
from chainrule.lens.prove.locate import Place, locate
from chainrule.lens.prove.not_finite import NotFinite, not_finite_gradients, without_loss
from chainrule.lens.prove.number_checks import Engine, Numbers
from chainrule.lens.prove.on_purpose import (
    Allowed,
    WayBack,
    place_of_function,
    place_of_hook,
    place_of_unseen,
    way_back,
)
from chainrule.lens.prove.once_more import OnceMore, once_more
from chainrule.lens.prove.proof import ParameterCheck, Report
from chainrule.lens.prove.sampling import Weight, check_by_numbers
from chainrule.lens.prove.whole_functions import Judged, judge_functions
from chainrule.lens.tape import Forward, Tape, Value, WatchedHook

# A gradient that is zero by construction: so many roundings of the largest one at most, and rounding of this part.
FAINT, MOSTLY = 1e3, 0.03
# Of a run with more FLOPs numbers are content with fewer runs; each call counts as so many, for the time that it takes.
HEAVY, EACH = 8e9, 1e6

Gradients = dict[int, dict[Engine, Tensor | None]]


@dataclass(frozen=True)
class Settings:
    """What a verification was asked for."""

    against: tuple[str, ...]
    coordinates: int
    seconds: float
    seed: int
    policy: Policy
    allowed: Allowed

    def judge(self, name: str, tape: Tape, forward: Forward, everywhere: Sequence[WatchedHook]) -> Report:
        """The report on a recorded run; `everywhere` are the hooks of all modules at once."""
        start = time.perf_counter()
        without = without_loss(name, self.against, tape)
        if without is not None:
            return without
        back = WayBack({}, None, ())
        if "autograd" in self.against:
            back = way_back(tape, forward.modules, everywhere, self.allowed)
        n_values = len(back.gradients)
        gradients: Gradients = {leaf.id: {} for leaf in _leaves(tape)}
        for leaf, one in gradients.items() if n_values else ():
            one["autograd"] = back.gradients[leaf]
        # Of a large model the gradients inside are most of what is held: each is dropped once it has been compared.
        comparison, limits = self._compare(tape, back.gradients)
        for leaf, one in gradients.items() if "rules" in self.against else ():
            one["rules"] = comparison.ours.get(leaf)
        comparison.ours.clear()
        place = self._place(tape, back, limits)
        judged = judge_functions(tape, policy=self.policy, seed=self.seed)
        if isinstance(forward.holding, Holding):
            forward.holding.bend(judged.given)
        endless = not_finite_gradients(tape, gradients, forward, policy=self.policy)
        again = self._once_more(tape, forward, gradients, limits, back, place)
        left = self.seconds - (time.perf_counter() - start)
        numbers = self._numbers(tape, forward, gradients, limits, max(left, 0.0))
        errors, tolerances = _by_node(tape, limits)
        report = Report(
            name=name,
            against=self.against,
            loss=_loss_of(tape),
            parameters=_parameters(tape, limits),
            node_errors=errors,
            tolerance_of=tolerances,
            place=_first_place(tape, place or again.place, judged, endless),
            numbers=numbers,
            segments=narrower_segments(tape, number_formats(tape)),
            n_samples=limits.n_samples,
            n_values=n_values,
            skipped=comparison.n_unknown if n_values else 0,
            not_independent=comparison.fallback,
            cuts=cuts_of(tape),
            seconds=time.perf_counter() - start,
            tape=tape,
            seconds_left_out=limits.seconds_left_out,
            changes=(*back.changes, *judged.changes, *endless.changes, *([again.change] if again.change else ())),
            doubts=(
                *([again.doubt] if again.doubt else ()),
                *judged.open_points,
                *endless.doubts,
                *approximated(tape, max((limits.of(leaf.id).limit for leaf in _leaves(tape)), default=0.0)),
            ),
            unused=self.allowed.unused,
        )
        return self._blamed(report, judged)

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

    def _place(self, tape: Tape, back: WayBack, limits: Limits) -> Place | None:
        """Where gradients went wrong first: an operation, a Function or line that wrote past autograd, or a hook."""
        exceeded = limits.exceeded()
        if back.plain is not None:  # a hook changed something; what is wrong without it comes first
            apart = compare(tape, back.plain, policy=self.policy).differences
            exceeded = {value: one.relative for value, one in apart.items() if one.relative > limits.of(value).limit}
        if exceeded and back.writers:
            return place_of_function(tape, back.writers[0], max(exceeded.values()))
        place = locate(tape, exceeded, policy=self.policy)
        if place is None and back.guilty is not None:
            return place_of_hook(tape, back.guilty)
        unseen = None if place is None or not tape.nodes[place.node].unseen else place_of_unseen(tape, place.node)
        return unseen or place

    def _once_more(
        self,
        tape: Tape,
        forward: Forward,
        gradients: Gradients,
        limits: Limits,
        back: WayBack,
        place: Place | None,
    ) -> OnceMore:
        """A second way back, of what the first found nothing wrong with."""
        if place is not None or back.changes or not {"autograd", "rules"} <= set(self.against):
            return OnceMore()
        first = {leaf: one["autograd"] for leaf, one in gradients.items()}
        return once_more(tape, forward, first, limits, self.policy, self.allowed)

    def _numbers(
        self,
        tape: Tape,
        forward: Forward,
        gradients: Mapping[int, Mapping[Engine, Tensor | None]],
        limits: Limits,
        seconds: float,
    ) -> Numbers | None:
        if "numbers" not in self.against:
            return None
        # Weights in a narrower format cannot be moved by small steps, nor leaves that each run makes anew.
        leaves = _leaves(tape)
        wide = [one for one in leaves if one.meta.dtype in (torch.float64, torch.complex128) and one.producer is None]
        weights = [Weight(leaf, gradients[leaf.id], limits.of(leaf.id).limit) for leaf in wide]
        if not weights:
            return None
        return check_by_numbers(
            forward,
            weights,
            self.coordinates,
            seed=self.seed,
            seconds=seconds,
            u=_narrowest(tape),
            watch=kinked(tape),
            hasty=_is_heavy(tape),
        )

    def _blamed(self, report: Report, judged: Judged) -> Report:
        """With a place where only numbers say that something is wrong."""
        if report.place is not None or report.verdict != "wrong" or "rules" not in self.against:
            return report
        blamed = blame(report.tape, policy=self.policy, seed=self.seed) or _unmeasured(judged, report)
        return replace(report, place=blamed or place_of_unseen(report.tape))


def _leaves(tape: Tape) -> list[Value]:
    return [leaf for leaf in tape.leaves() if leaf.differentiable]


def _loss_of(tape: Tape) -> float:
    kept = tape.values[loss_to_differentiate(tape)].tensor
    assert kept is not None
    return float(kept.detach())


def _narrowest(tape: Tape) -> float:
    """The unit roundoff of the narrowest number format that carries a gradient."""
    live = differentiable(tape)
    return max(unit_roundoff(dtype) for value, dtype in number_formats(tape).items() if value in live)


def _is_heavy(tape: Tape) -> bool:
    """Whether the program takes long to run, by its arithmetic: a clock would tell otherwise every time."""
    return sum(flops_of(tape, node) + EACH for node in tape.nodes) > HEAVY


def _first_place(tape: Tape, place: Place | None, judged: Judged, endless: NotFinite) -> Place | None:
    """What is not finite comes first; a Function outside torch is named where nothing else is."""
    if endless.changes:
        return endless.place
    if judged.wrong and place is None:
        maker = maker_of(tape, tape.nodes[judged.wrong[0]])
        return place_of_function(tape, maker, max(one.change for one in judged.changes))
    return place


def _unmeasured(judged: Judged, report: Report) -> Place | None:
    """A custom Function that cannot be judged by itself, where numbers contradict and no operation is to blame."""
    if not judged.unmeasured or not report.contradictions:
        return None
    error = max(one.error(engine) for one in report.contradictions for engine in ("autograd", "rules"))
    tape = report.tape
    return place_of_function(tape, maker_of(tape, tape.nodes[judged.unmeasured[0]]), error)


def _parameters(tape: Tape, limits: Limits) -> tuple[ParameterCheck, ...]:
    why = reasons(tape, number_formats(tape))
    return _with_zeros([_check_of(leaf, limits, why) for leaf in _leaves(tape)], _narrowest(tape))


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
