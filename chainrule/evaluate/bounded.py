"""As much of a measurement as fits in a time: small first, then as large as its speed allows."""

import time
from collections.abc import Callable, Sequence
from typing import TypeVar

T = TypeVar("T")
# Of the time that is left when a size is chosen; the rest is for what does not grow in proportion.
FILLED = 0.7
# No further than this at once: what is given up in the worst case leaves a result of this share of the size.
MOST_GROWTH = 16
# A trial that turned out this many times too small for the time is followed by another one.
WORTH_IT = 2


class LateError(Exception):
    """A part took longer than the trial before it let expect; its result is given up."""


def as_much_as(
    seconds: float,
    sizes: Sequence[int],
    work: Callable[[int, Callable[[], None]], T],
    *,
    clock: Callable[[], float] = time.perf_counter,
) -> tuple[int, T]:
    """The result of `work` for the largest of `sizes` (rising) that fits in `seconds`, and that size.

    The smallest is done whatever it takes. Its speed says which other one fits; that one is given up when it comes to
    take longer than all that is left, and the result before it stands. `work` gets a size and a function that it calls
    now and then, and which raises to stop it.
    """
    end = clock() + seconds
    place, began = 0, clock()
    result = work(sizes[0], lambda: None)
    while place < len(sizes) - 1:
        now = clock()
        speed = sizes[place] / max(now - began, 1e-9)
        most = min(speed * FILLED * (end - now), MOST_GROWTH * sizes[place])
        fitting = [at for at, size in enumerate(sizes) if size <= most]
        larger = max(fitting, default=0)
        if larger <= place or (larger < len(sizes) - 1 and sizes[larger] < WORTH_IT * sizes[place]):
            break
        began = now
        try:
            result = work(sizes[larger], lambda: _raise_when_late(clock, end))
        except LateError:
            break
        place = larger
    return sizes[place], result


def doubled(first: int, last: int) -> list[int]:
    """first, twice first, … and `last` itself."""
    sizes = []
    while first < last:
        sizes.append(first)
        first *= 2
    return [*sizes, last]


def _raise_when_late(clock: Callable[[], float], end: float) -> None:
    if clock() > end:
        raise LateError
