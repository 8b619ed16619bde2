"""Where a run that goes on will end, foretold from its own looks at held-out text, with an interval."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from chainrule.plan.more import SINCE

# ln(loss) against ln(tokens) over the last looks is nearly a straight line, and what is still to come is some share of
# its fall to the last token: the decay of the rate makes runs end lower than the line says early, and higher late.
# Columns: the place, the middle share, and the shares between which nine of ten lie; between places they go in a line.
# Measured on 25 runs of the recipe, whose rate falls over the last six tenths (benchmarks/foretold_end.py), which also
# leaves each text out. A rate that does not fall has no such end, and a cosine another; the interval is as wide.
SHARES = (
    (0.20, 1.25, 0.70, 2.80),
    (0.30, 1.20, 0.70, 2.80),
    (0.40, 1.00, 0.65, 2.40),
    (0.60, 0.90, 0.45, 1.80),
    (0.80, 0.75, 0.35, 1.50),
    (1.00, 0.45, 0.00, 1.20),
)
# What a look is off by besides: each has the noise of its place, and the end has a seed's.
LEAST_SHARE = 0.01
# A look may fall a little before a fifth of the way.
EARLIEST, LEAST_LOOKS = 0.18, 3
# Early places at which a report says what was expected then.
CHECKED = (0.2, 0.5)


@dataclass(frozen=True)
class ForetoldEnd:
    """What the held-out figure will be at the end, and its interval, which is meant for nine of ten."""

    value: float
    low: float
    high: float


def foretell_end(looks: Sequence[tuple[int, float]], tokens: int) -> ForetoldEnd | None:
    """What a run will come to at `tokens`, from (tokens, loss or bits per byte) so far; None where nothing can be said.

    That is before a fifth of the way, with fewer than three looks in the last 60 % of what is done, without a fall, and
    at the end.
    """
    sound = [(at, value) for at, value in looks if at > 0 and math.isfinite(value) and value > 0]
    if not sound or not EARLIEST * tokens <= sound[-1][0] < tokens:
        return None
    line = line_to_the_end(sound, tokens)
    if line is None:
        return None
    here, fall = line
    middle, least, most = _shares(sound[-1][0] / tokens)
    low, high = here - most * fall - LEAST_SHARE, here - least * fall + LEAST_SHARE
    return ForetoldEnd(*(math.exp(value) for value in (here - middle * fall, low, high)))


def line_to_the_end(looks: Sequence[tuple[int, float]], tokens: int) -> tuple[float, float] | None:
    """Ln of the figure at the last look, by the line of least squares, and that line's fall until `tokens`.

    None for fewer than three looks in the last 60 %, and for a line that does not fall.
    """
    last = [(math.log(at), math.log(value)) for at, value in looks if at >= SINCE * looks[-1][0]]
    if len(last) < LEAST_LOOKS:
        return None
    middle_x, middle_y = (sum(values) / len(last) for values in zip(*last, strict=True))
    spread = sum((x - middle_x) ** 2 for x, _ in last)
    slope = -sum((x - middle_x) * (y - middle_y) for x, y in last) / spread if spread else 0.0
    if slope <= 0:
        return None
    return middle_y - slope * (last[-1][0] - middle_x), slope * (math.log(tokens) - last[-1][0])


def expected_on_the_way(looks: Sequence[tuple[int, float]], tokens: int) -> Iterator[tuple[float, ForetoldEnd]]:
    """What was expected at the looks nearest after a fifth and a half of the way, as shares of it."""
    for place in CHECKED:
        upto = next((at for at, _ in looks if at >= 0.92 * place * tokens), None)
        told = foretell_end([look for look in looks if look[0] <= upto], tokens) if upto is not None else None
        if told is not None and upto is not None:
            yield upto / tokens, told


def _shares(place: float) -> tuple[float, float, float]:
    """The middle share and the ends at a place, in a line between those that were measured."""
    after = next((at for at, row in enumerate(SHARES) if row[0] >= place), len(SHARES) - 1)
    right, left = SHARES[after], SHARES[max(0, after - 1)]
    way = (place - left[0]) / (right[0] - left[0]) if right != left else 0.0
    way = min(max(way, 0.0), 1.0)
    middle, least, most = (a + way * (b - a) for a, b in zip(left[1:], right[1:], strict=True))
    return middle, least, most
