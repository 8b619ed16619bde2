"""Which operation is to blame where numbers contradict both engines: each is differentiated by numbers, by itself.

The tape has what every operation read and what gradient came back to it. So each can be asked alone: moved a little
along a random direction, do its results, weighed by the gradients that arrived at them, change as the rule says?
"""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from chainrule.base import LensError
from chainrule.lens.engine import (
    UNIT_ROUNDOFF,
    CustomFunctions,
    Estimate,
    Policy,
    ReverseStep,
    Watched,
    function_name,
    function_site,
    local_run,
    reverse,
)
from chainrule.lens.prove.locate import Place
from chainrule.lens.prove.number_checks import NumberCheck, check_of
from chainrule.lens.prove.probe import Probe
from chainrule.lens.tape import Tape

# Less than this is left to rounding: a rule in a narrower format than float64 is compared in float64 here.
LEAST = 1e-6
FIRST_STEP = 1e-2


def blame(tape: Tape, *, policy: Policy, seed: int) -> Place | None:
    """The operation nearest to the loss whose own derivative numbers contradict, or None where each is right by itself.

    Others that are contradicted too are its `others`.
    """
    generator = torch.Generator().manual_seed(seed)
    found: list[tuple[ReverseStep, float]] = []

    def see(step: ReverseStep) -> None:
        try:
            check = _check(tape, step, generator)
        except LensError:  # cannot be repeated: it draws random numbers, or stands for several
            return
        error = 0.0 if check is None or check.agrees("rules") else check.error("rules")
        if error > LEAST:
            found.append((step, error))

    reverse(tape, see, policy=policy)
    if not found:
        return None
    (step, error), *others = found
    backward = CustomFunctions(tape).backward_of.get(step.node.id)
    return Place(
        step.node.id,
        step.node.op,
        step.node.module,
        step.node.site,
        tape.values[step.outgoing[0].value].name,
        error,
        None if backward is None else function_name(backward),
        None if backward is None else function_site(backward),
        tuple(one.node.id for one, _ in others),
        by_numbers=True,
    )


@dataclass
class _Alone:
    """One operation as a function of how far what it read has moved."""

    tape: Tape
    step: ReverseStep
    ways: Mapping[int, Tensor]
    distance: float = 0.0

    def __call__(self) -> float:
        moved = {value: self._kept(value) + self.distance * way for value, way in self.ways.items()}
        results = local_run(self.tape, self.step.node, moved)
        pairs = zip(results, self.step.incoming, strict=False)
        return sum(float((result * g.to(result.dtype)).sum().real) for result, g in pairs if g is not None)

    def at(self, distance: float) -> float:
        """Moved so far."""
        self.distance = distance
        return self.watched()

    def _kept(self, value: int) -> Tensor:
        kept = self.tape.values[value].tensor
        assert kept is not None
        return kept.detach().to(torch.float64)

    def __post_init__(self) -> None:
        self.watched = Watched(self, watch=True)


def _check(tape: Tape, step: ReverseStep, generator: torch.Generator) -> NumberCheck | None:
    """The operation's own derivative along a random direction; None of one that hands nothing on."""
    ways, terms = {}, []
    for one in step.outgoing:
        value = tape.values[one.value]
        if value.tensor is None or value.meta.dtype.is_complex:
            return None
        if one.value not in ways:
            size = float(value.tensor.detach().double().square().mean().sqrt()) if value.meta.n_elements else 0.0
            shape = value.meta.shape
            ways[one.value] = torch.empty(shape, dtype=torch.float64).normal_(generator=generator) * (size or 1.0)
        terms.append(one.gradient.double() * ways[one.value])
    size = sum(float(term.square().sum()) for term in terms) ** 0.5
    if not ways:
        return None
    alone = _Alone(tape, step, ways)
    start = alone.at(0.0)
    scale = sum(float(g.double().abs().sum()) for g in step.incoming if g is not None)
    probe = Probe(alone.watched, start, UNIT_ROUNDOFF * max(abs(start), _weight(tape, step), scale * UNIT_ROUNDOFF))
    total = sum(float(term.sum()) for term in terms)

    def ask(estimate: Estimate) -> NumberCheck:
        return check_of(step.node.op, (), {"rules": total}, estimate, size, LEAST)

    return probe.check(probe.line(alone.at), 1.0, FIRST_STEP, ask)


def _weight(tape: Tape, step: ReverseStep) -> float:
    """The root of the summed squares of result times gradient: of what the sum's rounding is a part."""
    total = 0.0
    for output, g in zip(step.node.outputs, step.incoming, strict=True):
        kept = tape.values[output].tensor
        if g is not None and kept is not None:
            total += float((kept.detach().double() * g.double()).square().nan_to_num().sum())
    return total**0.5
