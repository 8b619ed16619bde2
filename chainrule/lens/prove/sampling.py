"""The third way: derivatives by numbers, at sampled weights and along directions through all of them."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from chainrule.lens.engine import UNIT_ROUNDOFF, Estimate, Watched, Widened, along, first_step, largest, moving
from chainrule.lens.prove.number_checks import Engine, NumberCheck, Numbers, check_of
from chainrule.lens.prove.probe import Probe, explained, noise_of
from chainrule.lens.tape import Value

ALL_WEIGHTS = "all weights at once"
N_DIRECTIONS = 3
# Done whatever the time; the largest gradient of so many tensors.
FEWEST = 8
# So many weights at which numbers contradict both engines are enough: each costs twenty runs.
ENOUGH = 3
# A direction moves every weight by this part of its tensor's root mean square, at first: more where the loss is noisy.
NEAREST, FARTHEST = 1e-3, 0.25
# To move all weights of a model with more than so many takes as long as to run it.
LARGE = 10_000_000
# A coordinate whose derivative says itself that it is worse than this is tried with steps so many times wider.
POOR, WIDER = 1e-4, 16.0


@dataclass(frozen=True)
class Weight:
    """A tensor that can be moved, with its gradients by the engines that were asked; None is a gradient of zeros.

    A complex one is moved, and looked at, as pairs of real numbers.
    """

    value: Value
    gradients: Mapping[Engine, Tensor | None]
    limit: float

    def __post_init__(self) -> None:
        if self.value.meta.dtype.is_complex:
            pairs = {e: None if g is None else torch.view_as_real(g.resolve_conj()) for e, g in self.gradients.items()}
            object.__setattr__(self, "gradients", pairs)

    @property
    def tensor(self) -> Tensor:
        """The tensor that the program reads."""
        found = self.value.in_program
        assert found is not None
        return torch.view_as_real(found.data) if found.is_complex() else found

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
    watch: bool = True,
    hasty: bool = False,
) -> Numbers:
    """`N_DIRECTIONS` directions through all weights and `FEWEST` coordinates, always; then more, while there is time.

    Which, in what order and how exactly hangs on the weights, the seed and the settings alone: more time only adds.
    `u` is the unit roundoff of the narrowest number format that the loss is computed in. With `watch` the sides of
    kinks are looked at in every run, and no step counts that crosses one. `hasty` is for a loss that takes long to run:
    three runs have to do for each derivative where they are enough.
    """
    end = time.perf_counter() + seconds
    generator = torch.Generator().manual_seed(seed)
    ways = _ways(weights, generator)
    probes = _probes(forward, weights, ways, u=u, watch=watch, hasty=hasty)
    directions: list[NumberCheck] = []
    for number in range(N_DIRECTIONS):
        ways = ways if not number else _ways(weights, generator)
        directions.append(_first_explained(probes, partial(_direction, weights=weights, ways=ways)))
    del ways
    plan = _coordinates(weights, n_coordinates, generator)
    found: list[NumberCheck] = []
    for weight, index in plan:
        done = time.perf_counter() > end or sum(not explained(one) for one in found) >= ENOUGH
        if done and len(found) >= FEWEST:
            break
        found.append(_first_explained(probes, partial(_coordinate, weight=weight, index=index)))
    n_elements = sum(weight.tensor.numel() for weight in weights)
    why = ""
    if sum(not explained(one) for one in found) >= ENOUGH:
        why = "they contradict often enough"
    elif len(found) < len(plan):
        why = f"{seconds:.0f} seconds were given for them; allow more with seconds= (--seconds)"
    elif len(plan) < n_coordinates:
        why = f"there are only {n_elements} weights"
    n_runs = sum(probe.forward.n_runs for probe in probes)
    return Numbers(tuple(directions), tuple(found), n_coordinates, why, n_runs)


def _probes(
    forward: Callable[[], float],
    weights: Sequence[Weight],
    ways: Sequence[Tensor],
    *,
    u: float,
    watch: bool,
    hasty: bool,
) -> list[Probe]:
    """The loss as it is run; where narrower formats round it, before that the loss in float64 throughout."""

    def probe(forward: Callable[[], float], u: float) -> Probe:
        watched = Watched(forward, watch=watch)
        start = watched()
        with along(watched, *_light(weights, ways)) as loss:
            noise = noise_of(loss, start, u)
        return Probe(watched, start, noise, hasty=hasty)

    if u <= UNIT_ROUNDOFF:
        return [probe(forward, u)]
    try:
        wide = probe(Widened(forward), UNIT_ROUNDOFF)
    except (RuntimeError, TypeError, ValueError, AssertionError):  # the program insists on its narrow format
        return [probe(forward, u)]
    return [wide, probe(forward, u)]


def _first_explained(probes: Sequence[Probe], check: Callable[[Probe], NumberCheck]) -> NumberCheck:
    """What the first probe finds that agrees with an engine; what the last one finds where none does."""
    *before, last = probes
    for probe in before:
        found = check(probe)
        if found.state == "measured" and explained(found):
            return found
    return check(last)


def _ways(weights: Sequence[Weight], generator: torch.Generator) -> list[Tensor]:
    """A random direction: normal numbers, as large in each tensor as its root mean square."""
    tensors = [weight.tensor for weight in weights]
    sizes = [float(tensor.detach().square().mean().sqrt()) if tensor.numel() else 0.0 for tensor in tensors]
    usual = sorted(size for size in sizes if size) or [1.0]
    # Drawn as float32, several times as fast: of a large model a good part of the time.
    return [
        torch.empty(tensor.shape).normal_(generator=generator).to(tensor.dtype).mul_(size or usual[len(usual) // 2])
        for tensor, size in zip(tensors, sizes, strict=True)
    ]


def _light(weights: Sequence[Weight], ways: Sequence[Tensor]) -> tuple[list[Tensor], list[Tensor]]:
    """What is moved to see the rounding of the loss: of a large model the small tensors, which every layer has."""
    pairs = [(weight.tensor, way) for weight, way in zip(weights, ways, strict=True)]
    if sum(tensor.numel() for tensor, _ in pairs) > LARGE:
        pairs = [pair for pair in pairs if pair[0].numel() <= LARGE / 100] or pairs
    return [tensor for tensor, _ in pairs], [way for _, way in pairs]


def _direction(probe: Probe, weights: Sequence[Weight], ways: Sequence[Tensor]) -> NumberCheck:
    totals: dict[Engine, float] = {}
    square = limit = 0.0
    for weight, way in zip(weights, ways, strict=True):
        share = 0.0
        for engine, gradient in weight.gradients.items():
            moved = None if gradient is None else (gradient * way).flatten()
            totals[engine] = totals.get(engine, 0.0) + (0.0 if moved is None else float(moved.sum()))
            share = share if moved is None else max(share, float(torch.dot(moved, moved)))
        square += share
        limit += weight.limit**2 * share
    size, limit = square**0.5, (limit / square) ** 0.5 if square else 0.0
    # The step at which rounding and what is left of the curvature after one extrapolation are about as large.
    best = (probe.noise / size) ** 0.2 if size else FARTHEST
    with along(probe.forward, [weight.tensor for weight in weights], ways) as loss:
        return probe.check(
            probe.line(loss),
            1.0,
            min(max(best, NEAREST), FARTHEST),
            lambda estimate: check_of(ALL_WEIGHTS, (), totals, estimate, size, limit),
        )


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


def _coordinate(probe: Probe, weight: Weight, index: tuple[int, ...]) -> NumberCheck:
    origin = float(weight.tensor.detach()[index])
    h0 = first_step(weight.tensor, origin)
    by = {engine: weight.gradient(engine, index) for engine in weight.gradients}

    def ask(estimate: Estimate) -> NumberCheck:
        return check_of(weight.value.name, index, by, estimate, weight.size, weight.limit)

    with moving(probe.forward, weight.tensor, index) as moved:
        line = probe.line(moved, origin)
        found = probe.check(line, 100 * h0, h0, ask)
        if found.own_error > POOR or found.state == "withdrawn":  # a noisy loss: steps that rise above the noise
            wider = probe.check(line, 100 * WIDER * h0, WIDER * h0, ask)
            found = min(found, wider, key=lambda one: (one.state == "withdrawn", one.own_error))
    return found
