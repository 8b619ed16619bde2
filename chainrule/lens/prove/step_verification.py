"""Holds the gradients of a step as it really ran against float64, with an error model that is stated and not tuned."""

import time
from collections.abc import Mapping

import torch
from torch import Tensor

from chainrule.base import LensError
from chainrule.lens.engine import (
    FEWEST_SAMPLES,
    N_SAMPLES,
    Formats,
    Noise,
    Policy,
    Tolerance,
    difference,
    largest,
    limits_from,
    narrower_segments,
    reasons,
    replay,
    reverse,
    tolerance,
    unit_roundoff,
    with_noise,
)
from chainrule.lens.prove.proof import ParameterCheck, Report
from chainrule.lens.prove.steps import Step
from chainrule.lens.tape import Tape


def verify_step(step: Step, *, policy: Policy, seed: int, seconds: float) -> Report:
    """The rules' gradients in float64 on the CPU, beside those that the step left.

    The step's operations are replayed with its weights, its batch and its dropout masks: exactly, and then N_SAMPLES
    times (less when the time is over, FEWEST_SAMPLES at least) with every result and every gradient wrong by a random
    rounding of the format that it really had. How far these samples are from the exact gradients is the error to
    expect.

    Raises LensError when the step drew other random numbers than the plain run beside it.
    """
    start = time.perf_counter()
    exact = replay(step.tape)
    local: dict[str, None] = {}
    reference = reverse(
        exact,
        lambda one: None if one.independent else local.setdefault(one.node.op, None),
        policy=policy,
    )
    loss = loss_of(exact)
    differences = {}
    for value, theirs in step.gradients.items():
        dtype = step.formats[value] if theirs is None else theirs.dtype
        wide = None if theirs is None else theirs.to(torch.float64)
        differences[value] = difference(value, reference.get(value), wide, torch.finfo(dtype).eps)
    number = loss_number(step.tape)
    if step.loss is not None:
        eps = torch.finfo(step.formats[number]).eps
        losses = torch.tensor([loss, step.loss], dtype=torch.float64)
        differences[number] = difference(number, losses[0], losses[1], eps)
    samples, scales = sample_step(step, reference, loss, policy=policy, seed=seed, seconds=seconds)
    limits = limits_from(samples, differences, step.formats, engines=1)
    why = reasons(step.tape, step.formats)
    checks = {
        value: ParameterCheck(
            "loss" if value == number else step.tape.values[value].name,
            step.tape.values[value].meta.shape,
            one,
            limits.of(value),
            why.get(value, "the loss does not depend on it"),
            along(step.gradients.get(value), reference.get(value)),
            _scale_tolerance(value, scales, step.formats, len(differences)),
        )
        for value, one in differences.items()
    }
    loss_check = checks.pop(number, None)
    if loss_check is not None and not loss_check.ok and _draws(step.tape):
        raise LensError(_other_numbers(step, loss))
    return Report(
        name=step.name,
        against=("step", "rules"),
        loss=loss,
        parameters=tuple(checks.values()),
        node_errors={},
        tolerance_of={},
        place=None,
        numbers=None,
        segments=narrower_segments(step.tape, step.formats),
        n_samples=limits.n_samples,
        n_values=0,
        skipped=0,
        not_independent=tuple(local),
        cuts=(),
        seconds=time.perf_counter() - start,
        tape=exact,
        loss_check=loss_check,
        device=step.device,
    )


def sample_step(
    step: Step,
    reference: Mapping[int, Tensor],
    loss: float,
    *,
    policy: Policy,
    seed: int,
    seconds: float,
) -> tuple[list[dict[int, float]], list[dict[int, float]]]:
    """The largest error of each gradient (and of the loss) in replays with rounding errors, and that of its scale.

    The errors have their true size, so that what is not proportional (a unit that a rounding switches off) is in them.
    Only where all is float64 are they made 1/√u times as large, and divided again, to stand out from the replay's own.
    """
    u = max((unit_roundoff(dtype) for dtype in step.formats.values()), default=unit_roundoff(torch.float64))
    scale = u**-0.5 if u <= unit_roundoff(torch.float64) else 1.0
    samples: list[dict[int, float]] = []
    scales: list[dict[int, float]] = []
    start = time.perf_counter()
    for number in range(N_SAMPLES):
        noise = Noise(seed + number, scale)
        rough = replay(step.tape, noise=noise, formats=step.formats)
        gradients = reverse(rough, policy=with_noise(rough, noise, step.formats, policy))
        found = {value: largest(gradients[value] - one) / scale for value, one in reference.items()}
        scales.append({value: along(gradients[value], one) / scale for value, one in reference.items()})
        samples.append(found | {loss_number(step.tape): abs(loss_of(rough) - loss) / scale})
        took = time.perf_counter() - start
        if number + 1 >= FEWEST_SAMPLES and took * (number + 2) / (number + 1) > seconds:
            break
    return samples, scales


def _scale_tolerance(value: int, scales: list[dict[int, float]], formats: Formats, n_tensors: int) -> Tolerance | None:
    if value not in scales[0]:
        return None
    return tolerance([one[value] for one in scales], n_tensors, unit_roundoff(formats[value]), engines=1)


def along(gradient: Tensor | None, reference: Tensor | None) -> float:
    """By which part of itself the reference is too long or too short in the gradient: ⟨g − r, r⟩/⟨r, r⟩."""
    if reference is None or not bool(reference.any()):
        return 0.0
    moved = -reference if gradient is None else gradient.to(reference.dtype) - reference
    return float((moved * reference).sum() / reference.square().sum())


def loss_number(tape: Tape) -> int:
    """The value that is the loss."""
    assert tape.loss is not None
    return tape.loss


def loss_of(tape: Tape) -> float:
    """The loss itself."""
    kept = tape.values[loss_number(tape)].tensor
    assert kept is not None
    return float(kept.detach())


def _draws(tape: Tape) -> bool:
    """Whether random numbers were drawn; attention without dropout only could have."""
    drawing = [node for node in tape.nodes if node.func and torch.Tag.nondeterministic_seeded in node.func.tags]
    return any(node.arguments.get("dropout_p", 1.0) for node in drawing)


def _other_numbers(step: Step, loss: float) -> str:
    return (
        f"the step's loss was {step.loss!r}, and a plain run from the same random numbers gives {loss!r}: the step "
        "drew other dropout masks (a compiled model has its own), so its gradients cannot be compared; set dropout to 0"
    )
