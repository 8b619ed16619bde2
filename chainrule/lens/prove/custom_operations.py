"""Operations that a program brings along (torch.library, C++ or Triton): differentiated by differences of themselves.

What such an operation is to the rules, a name. Its own registered backward is what is to be checked, so the reference
must come from its forward alone: each element of each input is moved, in float64, and the results are subtracted.
"""

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from chainrule.base import LensError
from chainrule.lens.engine import Policy
from chainrule.lens.rules import Call, Formula, Gradients, Rule
from chainrule.lens.tape import Tape

TORCHS_OWN = ("aten", "prims", "prim")
# Nine replays of eight runs for each element: a few seconds for an operation of microseconds.
MOST_ELEMENTS = 2048
# The largest step first, so that a kink between two is seen as a difference of their answers. No round numbers: what
# rounds to a millionth inside would seem smooth to steps that are whole millionths.
STEPS = (1.1713579e-3, 1.3139753e-4, 1.1913579e-5, 1.7317913e-6)
CLOSE = 1e-7


def with_custom_operations(tape: Tape, policy: Policy) -> Policy:
    """The policy with a rule by differences for each operation of the tape that is not torch's own and has no rule."""
    found = {
        node.rule_name: Rule(by_differences, Formula("", ""), {})
        for node in tape.nodes
        if node.func is not None and node.func.namespace not in TORCHS_OWN and node.rule_name not in policy.rules
    }
    return replace(policy, rules={**policy.rules, **found}) if found else policy


@torch.no_grad()
def by_differences(call: Call, *incoming: Tensor | None) -> Gradients:
    """The gradient of each wanted input: (f(x+h) − f(x−h))/2h, corrected by twice the step, times what comes in.

    Raises LensError for too many elements, and where no two steps agree: the operation jumps, or rounds inside to less
    than float64.
    """
    wanted = {name: ref for name, ref in call.node.references() if ref.value in call.wanted}
    n = sum(call.tensor(ref).numel() for ref in wanted.values())
    if n > MOST_ELEMENTS:
        raise LensError(
            f"{call.node.op} at {call.node.site} has no rule, and its inputs have {n:,} elements: differences are "
            f"taken of at most {MOST_ELEMENTS:,}; give it a smaller batch"
        )
    return {name: _gradient(call, name, call.tensor(ref), incoming) for name, ref in wanted.items()}


def _gradient(call: Call, name: str, given: Tensor, incoming: tuple[Tensor | None, ...]) -> Tensor:
    moved = given.clone().contiguous()
    flat = moved.view(-1)

    def loss(place: int, by: float) -> float:
        kept = float(flat[place])
        flat[place] = kept + by
        found = _results(call, name, moved)
        flat[place] = kept
        pairs = zip(found, incoming, strict=False)
        return sum(float((one.to(torch.float64) * g).sum()) for one, g in pairs if g is not None)

    slopes = [_slope(lambda by, place=place: loss(place, by), call) for place in range(flat.numel())]  # type: ignore[misc]
    return torch.tensor(slopes, dtype=torch.float64).view(given.shape)


def _slope(loss: Callable[[float], float], call: Call) -> float:
    """The first of two slopes in a row that agree, as steps shrink."""
    before: float | None = None
    size = max(abs(loss(0.0)), 1.0)
    for slope in _slopes(loss):
        if before is not None and abs(slope - before) <= CLOSE * max(abs(slope), size):
            return before
        before = slope
    raise LensError(
        f"{call.node.op} at {call.node.site} has no rule, and its differences do not settle: it jumps, or it rounds to "
        "less than float64 inside"
    )


def _slopes(loss: Callable[[float], float]) -> Iterator[float]:
    for h in STEPS:
        near, far = (loss(h) - loss(-h)) / (2 * h), (loss(2 * h) - loss(-2 * h)) / (4 * h)
        yield (4 * near - far) / 3


def _results(call: Call, name: str, moved: Tensor) -> list[Tensor]:
    """What the operation makes with one input replaced."""
    base, bracket, place = name.partition("[")
    given: dict[str, Any] = {key: call[key] for key in call.node.arguments}
    if bracket:
        given[base] = [moved if i == int(place[:-1]) else one for i, one in enumerate(given[base])]
    else:
        given[base] = moved
    schema = call.node.func._schema.arguments
    result = call.node.func(
        *[given[a.name] for a in schema if not a.kwarg_only], **{a.name: given[a.name] for a in schema if a.kwarg_only}
    )
    return [one for one in (result if isinstance(result, list | tuple) else [result]) if isinstance(one, Tensor)]
