"""Why a step was out of line: the weights, the number format, the learning rate, or the data.

The order of the questions is the procedure; the first that is answered with yes names the cause:

1. Is a weight not finite? Then no batch can pass: **weights**.
2. Does the replay in the run's own precision show the excess? If not: **not reproduced**.
3. Is the same batch in line in float64? Then arithmetic made the excess: **precision**.
4. Are at least half of the ordinary batches, at these very weights, out of line with the past as well? Then it is not
   this batch but the weights, which the updates before moved too far: **learning rate**.
5. Else the ordinary batches pass and this one does not: **data**.

In line means: loss and gradient norm are finite, and neither exceeds the past by the criterion of SpikeDetector.
"""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from copy import deepcopy
from dataclasses import dataclass
from typing import Literal

import torch
from torch import nn

from chainrule.health.portions import Passage, Portion, passage
from chainrule.health.spikes import FLOORS, SCORE, ratio_score, robust_score
from chainrule.health.suspects import Suspect, first_difference, first_suspect

Cause = Literal["weights", "not reproduced", "precision", "learning rate", "data"]


@dataclass(frozen=True)
class SpikeCase:
    """A step to be explained, of any model.

    `model` has the weights that the step was computed with, and is in the mode (train or eval) of the run. `batch` and
    each of `ordinary` are lists of portions. `own` makes the context of the run's precision, `prepare` is called before
    each pass (it seeds dropout). `losses` and `norms` are those of the steps before.
    """

    model: nn.Module
    batch: Sequence[Portion]
    ordinary: Sequence[Sequence[Portion]]
    losses: Sequence[float]
    norms: Sequence[float]
    own: Callable[[], AbstractContextManager[object]] = nullcontext
    own_name: str = "float32"
    prepare: Callable[[], object] = lambda: None
    say: Callable[[str], object] = lambda phase: None


@dataclass(frozen=True)
class Replay:
    """Loss and gradient norm of one pass, and whether it is in line with the past."""

    loss: float
    grad_norm: float
    in_line: bool


@dataclass(frozen=True)
class Diagnosis:
    """The cause, what each replay gave (by number format; ordinary batches in the run's own), and where it begins."""

    cause: Cause
    replays: dict[str, Replay]
    ordinary: tuple[Replay, ...]
    forward: Suspect | None
    backward: Suspect | None
    bad_weights: tuple[str, ...] = ()


def diagnose(case: SpikeCase) -> Diagnosis:
    """Replays the step in the run's own precision, in float32 and in float64, and ordinary batches beside it."""
    bad = tuple(n for n, t in [*case.model.named_parameters(), *case.model.named_buffers()] if not t.isfinite().all())
    if bad:
        return Diagnosis("weights", {}, (), None, None, bad)
    runs = {case.own_name: _pass(case, case.batch, f"in {case.own_name}", own=True)}
    if case.own_name != "float32":
        runs["float32"] = _pass(case, case.batch, "in float32")
    runs["float64"] = _pass(case, case.batch, "in float64", double=True)
    ordinary = [
        _pass(case, portions, f"ordinary batch {number} of {len(case.ordinary)}", own=True)
        for number, portions in enumerate(case.ordinary, 1)
    ]
    replays = {name: _judged(case, one) for name, one in runs.items()}
    beside = tuple(_judged(case, one) for one in ordinary)
    cause = _cause(replays[case.own_name], replays["float64"], beside)
    own = runs[case.own_name]
    if cause == "precision":
        forward, backward = (first_difference(own, runs["float64"], way) for way in ("forward", "backward"))
    else:
        forward, backward = (first_suspect(own, ordinary, way) for way in ("forward", "backward"))
    return Diagnosis(cause, replays, beside, forward, backward)


def _cause(own: Replay, exact: Replay, ordinary: Sequence[Replay]) -> Cause:
    if own.in_line:
        return "not reproduced"
    if exact.in_line:
        return "precision"
    if ordinary and 2 * sum(not one.in_line for one in ordinary) >= len(ordinary):
        return "learning rate"
    return "data"


def _pass(
    case: SpikeCase, portions: Sequence[Portion], phase: str, *, own: bool = False, double: bool = False
) -> Passage:
    case.say(phase)
    case.prepare()
    model = deepcopy(case.model).to("cpu", torch.float64) if double else case.model
    with case.own() if own else nullcontext():
        return passage(model, portions)


def _judged(case: SpikeCase, one: Passage) -> Replay:
    above = (
        robust_score(one.loss, case.losses, FLOORS["loss"]),
        ratio_score(one.grad_norm, case.norms),
    )
    return Replay(one.loss, one.grad_norm, one.finite and max(above) <= SCORE)
