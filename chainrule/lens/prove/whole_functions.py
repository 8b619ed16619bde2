"""Custom Functions that stand on a tape as one operation: judged by numbers, each by itself."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from chainrule.lens.engine import (
    UNIT_ROUNDOFF,
    Estimate,
    Policy,
    ReverseStep,
    computational_noise,
    function_site,
    maker_of,
    reverse,
    ridders,
)
from chainrule.lens.prove.on_purpose import Change
from chainrule.lens.tape import WHOLE, Tape

# So many random directions each: an error that one of them misses would have to be at right angles to it.
DIRECTIONS = 4
# First steps, as parts of the size of what is moved. Two of them have to agree on an error.
STEPS = (0.3, 0.1, 0.02, 3e-3, 3e-4)
# The least error that is told from rounding inside of it; less exact than `BLUNT` says nothing.
LEAST, BLUNT = 1e-9, 1e-5
NOISE_STEP = 2.0**13 * UNIT_ROUNDOFF


@dataclass(frozen=True)
class Judged:
    """`changes` are the Functions that are wrong or allowed to be, `wrong` their operations, `open_points` what could
    not be measured. `given` has what each operation received and handed back, by number.
    """

    changes: tuple[Change, ...]
    wrong: tuple[int, ...]
    open_points: tuple[str, ...]
    given: Mapping[int, ReverseStep]


def judge_functions(tape: Tape, *, policy: Policy, seed: int) -> Judged:
    """Moves what each whole Function read along random directions, and holds its backward pass against the change.

    That is its Jacobian, by differences of its own forward pass: autograd and the rules have nothing else to say of it.
    """
    if not any(node.rule_name == WHOLE for node in tape.nodes):
        return Judged((), (), (), {})
    generator = torch.Generator().manual_seed(seed)
    steps: dict[int, ReverseStep] = {}

    def see(step: ReverseStep) -> None:
        if step.node.rule_name == WHOLE:
            steps[step.node.id] = step

    reverse(tape, see, policy=policy)
    changes: list[Change] = []
    wrong: list[int] = []
    doubts: dict[str, None] = {}
    for number, step in steps.items():
        name, allowed = step.node.op.partition(".")[2], step.node.func.allowed
        error = _error(tape, step, generator)
        if error is None:
            if not allowed:
                why = "its results jump, or are too coarse for differences; inputs away from its corners may do"
                doubts[f"the custom Function {name} at {step.node.site} cannot be measured: {why}"] = None
        elif error:
            backward = maker_of(tape, step.node)
            site = None if backward is None else function_site(backward)
            changes.append(Change(f"custom Function {name}", site, error, allowed))
            wrong += [] if allowed else [number]
    return Judged(tuple(changes), tuple(wrong), tuple(doubts), steps)


def _error(tape: Tape, step: ReverseStep, generator: torch.Generator) -> float | None:
    """The largest error of what it hands back over its size, 0 when numbers agree; None when they do not tell."""
    handed = {one.value: one.gradient for one in step.outgoing}
    read = {ref.value: _kept(tape, ref.value) for _, ref in step.node.references()}
    # Also those that it hands nothing back to, though a gradient is wanted there.
    wanted = [value for value in read if read[value].is_floating_point() and tape.values[value].requires_grad]
    worst: float | None = None
    for _ in range(DIRECTIONS):
        ways = {
            value: torch.empty(read[value].shape, dtype=torch.float64).normal_(generator=generator)
            * (float(read[value].square().mean().sqrt()) or 1.0)
            for value in wanted
        }
        terms = [handed[value] * way for value, way in ways.items() if value in handed]
        total = sum(float(term.sum()) for term in terms)
        size = sum(float(term.square().sum()) for term in terms) ** 0.5
        found = _apart(_moved(step, read, ways), total, size)
        if found is not None:
            worst = max(found, worst or 0.0)
    return worst


def _moved(step: ReverseStep, read: Mapping[int, Tensor], ways: Mapping[int, Tensor]) -> Callable[[float], float]:
    """Its results, weighed by the gradients that arrive at them, as a function of how far what it read has moved."""

    def at(distance: float) -> float:
        given = []
        for _, ref in step.node.references():
            tensor = read[ref.value]
            moved = tensor + distance * ways[ref.value] if ref.value in ways else tensor
            given.append(moved.to(tensor.dtype))
        made = step.node.func.run(given)
        return sum(float((one * g).sum()) for one, g in zip(made, step.incoming, strict=True) if g is not None)

    return at


def _apart(f: Callable[[float], float], total: float, size: float) -> float | None:
    """How far the derivative of `f` is from `total`, over `size`; 0 when not certainly, None when nobody can say."""
    noise = computational_noise(f, NOISE_STEP)
    found = sorted((ridders(f, h, noise=noise) for h in STEPS), key=lambda one: one.error)[:2]
    size = size or max(abs(one.derivative) for one in found)
    if not size:
        return 0.0
    if found[0].error > BLUNT * size:
        return None
    errors = [_certain(one, total, size) for one in found]
    return min(errors)


def _certain(one: Estimate, total: float, size: float) -> float:
    """The difference over the size, if it is more than the estimate may be off by."""
    gap = abs(one.derivative - total)
    return gap / size if gap > 4 * one.error + LEAST * size else 0.0


def _kept(tape: Tape, value: int) -> Tensor:
    kept = tape.values[value].tensor
    assert kept is not None
    return kept.detach()
