"""What rounding explains at each value of a tape: sampled noise, turned into tolerances."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from chainrule.lens.engine.comparison import Difference
from chainrule.lens.engine.noisy import Formats, number_formats, sample_reverse
from chainrule.lens.engine.policy import Policy
from chainrule.lens.engine.rounding import Noise, unit_roundoff
from chainrule.lens.engine.segments import narrower_segments, narrowest_on_the_way
from chainrule.lens.engine.tolerances import Tolerance, tolerance
from chainrule.lens.tape import Tape

# More samples would narrow the limits by less than a fifth.
N_SAMPLES = 8
# With fewer, Student's quantile is so large that a limit says nothing: they are made whatever the time.
FEWEST_SAMPLES = 3


@dataclass(frozen=True)
class Limits:
    """Tolerances for the differences of a comparison; `n_samples` walks with noise were made for them.

    `seconds_left_out` is about what the walks would have taken that there was no time for.
    """

    differences: Mapping[int, Difference]
    tolerances: Mapping[int, Tolerance]
    n_samples: int
    seconds_left_out: float = 0.0

    def of(self, value: int) -> Tolerance:
        """The tolerance of one value; of one that was not compared, nothing is explained by rounding."""
        return self.tolerances.get(value, Tolerance(0.0, 0.0, 0))

    def exceeded(self) -> dict[int, float]:
        """The relative errors that rounding does not explain, by value."""
        return {value: one.relative for value, one in self.differences.items() if one.relative > self.of(value).limit}


def sampled_limits(
    tape: Tape,
    ours: Mapping[int, Tensor],
    differences: Mapping[int, Difference],
    *,
    policy: Policy,
    seed: int,
    seconds: float,
) -> Limits:
    """Walks back with noise, `N_SAMPLES` times or as often as the time allows (`FEWEST_SAMPLES` times at least).

    The noise is 1/√u times as large as rounding, u being the unit roundoff of the narrowest format on the tape, and
    what it does is divided by as much. So it stands out from the rounding of the walk itself, and is still so small
    that gradients answer to it in proportion: relative errors of √u, whose squares are u.
    """
    formats = number_formats(tape)
    u = max((unit_roundoff(dtype) for dtype in formats.values()), default=unit_roundoff(torch.float64))
    samples: list[dict[int, float]] = []
    start = time.perf_counter()
    for number in range(N_SAMPLES):
        noise = Noise(seed + number, u**-0.5)
        samples.append(sample_reverse(tape, ours, noise, formats, policy=policy))
        took = time.perf_counter() - start
        if number + 1 >= FEWEST_SAMPLES and took * (number + 2) / (number + 1) > seconds:
            break
    found = limits_from(samples, differences, formats)
    return replace(found, seconds_left_out=(N_SAMPLES - len(samples)) * took / len(samples))


def limits_from(
    samples: list[dict[int, float]], differences: Mapping[int, Difference], formats: Formats, engines: int = 2
) -> Limits:
    """Relative tolerances from sampled absolute errors."""
    found = {}
    for value, one in differences.items():
        relative = [sample.get(value, 0.0) / one.size if one.size else 0.0 for sample in samples]
        found[value] = tolerance(relative, len(differences), unit_roundoff(formats[value]), engines)
    return Limits(differences, found, len(samples))


def reasons(tape: Tape, formats: Formats) -> dict[int, str]:
    """For each value, in words, which number formats lie between it and the loss."""
    segments = narrower_segments(tape, formats)
    found = {}
    for value, dtype in narrowest_on_the_way(tape, formats).items():
        mine = next((one for one in segments if one.dtype == dtype), None)
        found[value] = "float64 everywhere" if mine is None else str(mine)
    return found
