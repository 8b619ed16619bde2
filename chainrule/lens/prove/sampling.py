"""The third way: derivatives by numbers, at sampled weights and along one direction through all of them."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from chainrule.lens.engine import (
    FALSE_ALARM,
    NOISE_ORDER,
    NOISE_VALUES,
    UNIT_ROUNDOFF,
    Estimate,
    along,
    computational_noise,
    coordinate_derivative,
    first_step,
    largest,
    ridders,
    student_quantile,
)
from chainrule.lens.tape import Value

Engine = Literal["autograd", "rules"]
ALL_WEIGHTS = "all weights at once"
# The direction moves every weight by this part of its tensor's root mean square, at first.
FIRST_DISTANCE = 0.02
# So small that the loss is a straight line but for its rounding, and still many roundings long.
NOISE_ROUNDINGS, LONGEST_NOISE = 2.0**13, 2.0**-6
# A derivative that says itself that it is worse than this is tried with steps so many times wider.
POOR, WIDER = 1e-4, 16.0
# One false alarm in a thousand verifications of a hundred checks; noise is known from so many third differences.
ROUNDING = student_quantile(1 - FALSE_ALARM / 100, NOISE_VALUES - NOISE_ORDER)


@dataclass(frozen=True)
class NumberCheck:
    """One derivative by numbers beside those of the engines (None where one was not asked).

    `size` is the largest element of the tensor's gradient, or for the direction through all weights (`index` is empty)
    the root of the summed squares of gradient times movement. `limit` is what rounding explains in the engines and,
    times the quantile of Student's distribution for so many checks, in the numbers.
    """

    name: str
    index: tuple[int, ...]
    autograd: float | None
    rules: float | None
    numbers: Estimate
    size: float
    limit: float

    def error(self, engine: Engine) -> float:
        """How far the engine's derivative is from that by numbers, over `size`."""
        theirs = self.autograd if engine == "autograd" else self.rules
        return 0.0 if theirs is None or not self.size else abs(theirs - self.numbers.derivative) / self.size

    @property
    def own_error(self) -> float:
        """How far off the numbers say they may be, over `size`."""
        return self.numbers.error / self.size if self.size else 0.0

    def agrees(self, engine: Engine) -> bool:
        """Whether the difference is explained by the numbers' own error and by rounding."""
        return self.error(engine) <= self.own_error + self.limit


@dataclass(frozen=True)
class Numbers:
    """What was checked by numbers. `n_coordinates` of `n_asked` were done; `why` says what kept it from the rest."""

    direction: NumberCheck
    coordinates: tuple[NumberCheck, ...]
    n_asked: int
    why: str
    n_runs: int

    @property
    def checks(self) -> tuple[NumberCheck, ...]:
        """The direction and the coordinates."""
        return (self.direction, *self.coordinates)


@dataclass(frozen=True)
class Weight:
    """A tensor that can be moved, with its gradients by the engines that were asked; None is a gradient of zeros."""

    value: Value
    gradients: Mapping[Engine, Tensor | None]
    limit: float

    @property
    def tensor(self) -> Tensor:
        """The tensor that the program reads."""
        assert self.value.tensor is not None
        return self.value.tensor

    def gradient(self, engine: Engine, index: tuple[int, ...]) -> float | None:
        """One element of the engine's gradient."""
        if engine not in self.gradients:
            return None
        found = self.gradients[engine]
        return 0.0 if found is None else float(found[index])

    @property
    def size(self) -> float:
        """The largest element of any engine's gradient."""
        return max((largest(one) for one in self.gradients.values()), default=0.0)


def check_by_numbers(
    forward: Callable[[], float],
    weights: Sequence[Weight],
    n_coordinates: int,
    *,
    seed: int,
    seconds: float,
    u: float = UNIT_ROUNDOFF,
) -> Numbers:
    """One direction through all weights, always; then coordinates, until they are done or the time is over.

    `u` is the unit roundoff of the narrowest number format that the loss is computed in.

    A coordinate that contradicts an engine is measured a second time with other steps, and counts only when it
    contradicts again: a kink of the loss may have lain within the first.
    """
    end = time.perf_counter() + seconds
    generator = torch.Generator().manual_seed(seed)
    direction, noise, n_runs = _direction(forward, weights, generator, min(NOISE_ROUNDINGS * u, LONGEST_NOISE))
    plan = _coordinates(weights, n_coordinates, generator)
    found: list[NumberCheck] = []
    for weight, index in plan:
        if time.perf_counter() > end:
            break
        check = _coordinate(forward, weight, index, noise)
        n_runs += check.numbers.n_evaluations
        found.append(check)
    n_elements = sum(weight.tensor.numel() for weight in weights)
    why = ""
    if len(found) < len(plan):
        why = f"{seconds:.0f} seconds were given for them; allow more with seconds= (--seconds)"
    elif len(plan) < n_coordinates:
        why = f"there are only {n_elements} weights"
    return Numbers(direction, tuple(found), n_coordinates, why, n_runs)


def _direction(
    forward: Callable[[], float], weights: Sequence[Weight], generator: torch.Generator, noise_distance: float
) -> tuple[NumberCheck, float, int]:
    """The derivative along a random direction, and the noise of the loss, which was measured along it."""
    tensors = [weight.tensor for weight in weights]
    sizes = [float(tensor.detach().square().mean().sqrt()) if tensor.numel() else 0.0 for tensor in tensors]
    usual = sorted(size for size in sizes if size) or [1.0]
    ways = [
        torch.empty(tensor.shape, dtype=tensor.dtype).normal_(generator=generator) * (size or usual[len(usual) // 2])
        for tensor, size in zip(tensors, sizes, strict=True)
    ]
    totals: dict[Engine, float] = {}
    square = limit = 0.0
    for weight, way in zip(weights, ways, strict=True):
        for engine, gradient in weight.gradients.items():
            moved = way.new_zeros(()) if gradient is None else gradient * way
            totals[engine] = totals.get(engine, 0.0) + float(moved.sum())
        share = float(moved.square().sum())
        square += share
        limit += weight.limit**2 * share
    with along(forward, tensors, ways) as loss:
        noise = computational_noise(loss, noise_distance)
        estimate = ridders(loss, FIRST_DISTANCE, noise=noise)
    check = _check(ALL_WEIGHTS, (), totals, estimate, square**0.5, limit**0.5 / square**0.5 if square else 0.0)
    return check, noise, estimate.n_evaluations + NOISE_VALUES


def _check(
    name: str,
    index: tuple[int, ...],
    found: Mapping[Engine, float | None],
    estimate: Estimate,
    size: float,
    limit: float,
) -> NumberCheck:
    """With what rounding explains: in the engines, and in the numbers, whose noise was estimated from few values."""
    allowed = limit + ROUNDING * estimate.rounding / size if size else 0.0
    return NumberCheck(name, index, found.get("autograd"), found.get("rules"), estimate, size, allowed)


def _coordinates(weights: Sequence[Weight], n: int, generator: torch.Generator) -> list[tuple[Weight, tuple[int, ...]]]:
    """Spread over the tensors, in random order: of each first the element with the largest gradient, then any."""
    order = [weights[i] for i in torch.randperm(len(weights), generator=generator).tolist()]
    order = [weight for weight in order if weight.tensor.numel()]
    seen: dict[tuple[int, tuple[int, ...]], Weight] = {}
    started: set[int] = set()
    n = min(n, sum(weight.tensor.numel() for weight in order))
    while len(seen) < n:
        for weight in order:
            if len(seen) == n:
                break
            any_element = int(torch.randint(weight.tensor.numel(), (), generator=generator))
            flat = any_element if weight.value.id in started else _largest(weight)
            started.add(weight.value.id)
            index = tuple(int(i) for i in torch.unravel_index(torch.tensor(flat), weight.tensor.shape))
            seen.setdefault((weight.value.id, index), weight)
    return [(weight, index) for (_, index), weight in seen.items()]


def _largest(weight: Weight) -> int:
    gradient = next((one for one in weight.gradients.values() if one is not None), None)
    return 0 if gradient is None else int(gradient.abs().argmax())


def _coordinate(forward: Callable[[], float], weight: Weight, index: tuple[int, ...], noise: float) -> NumberCheck:
    def check(h0: float) -> NumberCheck:
        estimate = coordinate_derivative(forward, weight.tensor, index, h0=h0, noise=noise)
        by = {engine: weight.gradient(engine, index) for engine in weight.gradients}
        return _check(weight.value.name, index, by, estimate, weight.size, weight.limit)

    h0 = first_step(weight.tensor, float(weight.tensor.detach()[index]))
    found = check(h0)
    if not all(found.agrees(engine) for engine in weight.gradients):
        again = check(h0 / 3)
        if again.own_error <= found.own_error or all(again.agrees(engine) for engine in weight.gradients):
            found = again
    if found.own_error > POOR:  # the loss is noisy, as with float32 in it: steps that rise above the noise
        found = min(found, check(WIDER * h0), key=lambda one: one.own_error)
    return found
