"""What more time would bring a run to, foretold from its own curve, with an interval."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

# The final loss of runs of more and more tokens falls as a power of them, over a few times the tokens; and a run whose
# last looks, from this share of its tokens on, fall steeply, has more to gain. The exponent is LEVEL * slope^POWER: the
# slope alone said too much for steep runs and too little for flat ones, and a constant (0.13) was a little worse. Of
# 20 runs with three times the tokens or more 18 came to where an exponent within these factors of it leads, with the
# share for another seed besides; of 38 in all 32 (benchmarks/more_minutes.py, docs/LOG.md).
SINCE, LEAST_LOOKS = 0.4, 4
LEVEL, POWER = 0.2, 0.25
LEAST_FACTOR, MOST_FACTOR = 0.7, 1.42
SEED_SHARE = 0.02
# A text read R times more than once is worth U (1 + R* (1 - exp(-R / R*))) tokens of new text, U its own (Muennighoff
# et al., arXiv 2305.16264). Beyond four readings it may also gain nothing, and beyond sixteen nothing is said.
REPEATS_WORTH, FULL_EPOCHS, MOST_EPOCHS = 15.4, 4, 16
# Never held against runs that were longer by more than this.
MOST_TIMES = 12
MORE_MINUTES = 10


@dataclass(frozen=True)
class Foretold:
    """Bits per byte of held-out text after more training, and its interval: 32 of 38 such held."""

    bits_per_byte: float
    low: float
    high: float


def foretell(
    bits_per_byte: float,
    looks: Sequence[tuple[int, float]],
    tokens: int,
    more_tokens: float,
    unique_tokens: int,
    level: float = LEVEL,
) -> Foretold | None:
    """Where a run of `tokens` that came to `bits_per_byte` would have come with `more_tokens` besides, or None.

    For the same settings, trained anew for the longer time. `looks` are (tokens, bits per byte) on the way, whose fall
    towards the end tells the exponent; `unique_tokens` is the length of the text; another `level` is for who measures
    it. None where nothing sensible can be said: few looks, no fall, numbers that are not finite, many times the tokens,
    or a text read too often.
    """
    epochs = (tokens + more_tokens) / max(unique_tokens, 1)
    slope = final_slope(looks)
    if slope is None or not (math.isfinite(bits_per_byte) and bits_per_byte > 0 and slope > 0 and more_tokens > 0):
        return None
    if tokens + more_tokens > MOST_TIMES * tokens or epochs > MOST_EPOCHS:
        return None
    gain = level * slope**POWER * math.log(worth(tokens + more_tokens, unique_tokens) / worth(tokens, unique_tokens))
    more = math.hypot((MOST_FACTOR - 1) * gain, SEED_SHARE)
    least = LEAST_FACTOR * gain if epochs <= FULL_EPOCHS else 0.0
    less = math.hypot(gain - least, SEED_SHARE)
    return Foretold(*(bits_per_byte * math.exp(-gain + shift) for shift in (0.0, -more, less)))


def final_slope(looks: Sequence[tuple[int, float]]) -> float | None:
    """How fast ln(bits per byte) falls with ln(tokens) over the last looks: the line of least squares."""
    finite = [(tokens, bits) for tokens, bits in looks if tokens > 0 and math.isfinite(bits) and bits > 0]
    if not finite:
        return None
    last = [(math.log(tokens), math.log(bits)) for tokens, bits in finite if tokens >= SINCE * finite[-1][0]]
    if len(last) < LEAST_LOOKS:
        return None
    middle_x, middle_y = (sum(values) / len(last) for values in zip(*last, strict=True))
    spread = sum((x - middle_x) ** 2 for x, _ in last)
    return -sum((x - middle_x) * (y - middle_y) for x, y in last) / spread if spread else None


def worth(tokens: float, unique_tokens: int) -> float:
    """Tokens of new text that are worth as much as so many of a text that repeats."""
    repeats = max(tokens / unique_tokens - 1, 0)
    return min(tokens, unique_tokens) + unique_tokens * REPEATS_WORTH * (1 - math.exp(-repeats / REPEATS_WORTH))
