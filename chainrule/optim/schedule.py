"""Schedules: from a step to a factor of the learning rate, or to the length of a window, and nothing else."""

import math
from collections.abc import Callable

from chainrule.config import ScheduleConfig


def rate_factor(step: float, steps: int, schedule: ScheduleConfig) -> float:
    """The learning rate of update `step` (0 is the first of `steps`) as a share of its peak, above 0 and at most 1.

    A run that was planned again stands between two steps of its first plan, so `step` may be no whole number.

    A pure function: a resume needs no state of it. The warm-up reaches the peak at its last step; what follows falls
    to `schedule.floor` (a floor of 0 is reached one step after the last, so that no step is without effect).
    """
    warmup = round(schedule.warmup_share * steps)
    if step < warmup:
        return min(1.0, (step + 1) / warmup)  # between the last two steps of the warm-up it would pass the peak
    return SCHEDULES[schedule.kind](step - warmup, max(steps - warmup, 1), steps, schedule)


def window_pieces(step: float, steps: int, schedule: ScheduleConfig, context_length: int) -> int:
    """How many windows of update `step` are as long as a whole one, a power of two; 1 when windows do not grow.

    They begin as `schedule.first_window` tokens and double at equal intervals, until they are whole after `grow_share`
    of the steps. What stands nearby is learnt from short windows in less time, and copying from farther back is learnt
    sooner by a model that already knows it from nearby (docs/LOG.md).
    """
    if not schedule.first_window or step >= schedule.grow_share * steps:
        return 1
    doublings = (context_length // schedule.first_window).bit_length() - 1
    return 2 ** (doublings - int(step * doublings / (schedule.grow_share * steps)))


def _cosine(step: float, remaining: int, steps: int, schedule: ScheduleConfig) -> float:
    """Half a cosine from 1 to the floor (Loshchilov and Hutter, arXiv 1608.03983)."""
    return schedule.floor + (1 - schedule.floor) * 0.5 * (1 + math.cos(math.pi * step / remaining))


def _wsd(step: float, remaining: int, steps: int, schedule: ScheduleConfig) -> float:
    """1, then a line down to the floor over the last `decay_share` of all steps (Hu et al., arXiv 2404.06395)."""
    decay = min(max(round(schedule.decay_share * steps), 1), remaining)
    left = min(1.0, (remaining - step) / decay)
    return schedule.floor + (1 - schedule.floor) * left


def _constant(step: float, remaining: int, steps: int, schedule: ScheduleConfig) -> float:
    """Always the peak."""
    return 1.0


SCHEDULES: dict[str, Callable[[float, int, int, ScheduleConfig], float]] = {
    "cosine": _cosine,
    "wsd": _wsd,
    "constant": _constant,
}
