"""The seconds of an update, tried on real windows with several numbers of threads; nothing is moved."""

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from chainrule.data import Windows
from chainrule.device import BUSY_SHARE, MachineFacts, Precision, use_threads
from chainrule.train.objective import Objective
from chainrule.train.state import TrainState
from chainrule.train.step import backward, gradient_norms

PROBE_SECONDS, MOST_ROUNDS = 2.0, 6
# Beside another program threads wait for each other, and one fewer can be many times as quick: then it is worth a wait.
BUSY_SECONDS = 10.0
# A round that takes longer is repeated with fewer windows: what a window costs hardly depends on their number.
ROUND_SECONDS = 0.4
# A number of threads that is slower by this factor than one tried before ends the search: fewer are slower still.
SLOWER = 1.1
# Fewer threads are taken when they cost this little: they leave cores to the person at the machine.
NEARLY = 1.02


@dataclass(frozen=True)
class Timed:
    """Seconds of forward and backward for a window, and of the optimizer, with the quickest number of threads."""

    threads: int
    window_seconds: float
    moving_seconds: float
    tried: dict[int, float]
    """Seconds of a round by number of threads."""


def time_updates(
    state: TrainState,
    objective: Objective,
    windows: Windows,
    facts: MachineFacts,
    *,
    same_shape: bool = False,
) -> Timed:
    """The quickest of a few rounds for each number of threads that the machine may choose, and the quickest of those.

    The first round, which compiles and allocates, has all windows and is not counted. A single round was up to 1.5
    times as slow as the run that followed. With `same_shape` all rounds have all windows (a compiler would begin
    again); when another program was seen the search has more time. Takes two to three seconds, more only where
    a single window does. The threads that won stay set.
    """
    began = time.perf_counter()
    precision = Precision(facts.device, facts.precision)
    choices = facts.thread_choices or (facts.threads,)
    limit = BUSY_SECONDS if facts.core_share < BUSY_SHARE else PROBE_SECONDS
    try:
        warm = sum(_round(state, objective, windows, precision))
        if not same_shape and warm > ROUND_SECONDS:
            windows = first_windows(windows, max(1, int(len(windows.ids) * ROUND_SECONDS / warm)))
        rounds = _search(lambda: _round(state, objective, windows, precision), choices, began, limit)
    finally:
        state.optimizer.forget()
    best = {count: min(times, key=sum) for count, times in rounds.items()}
    quickest = min(sum(times) for times in best.values())
    threads = min(count for count, times in best.items() if sum(times) <= NEARLY * quickest)
    use_threads(threads)
    passing, moving = best[threads]
    return Timed(threads, passing / len(windows.ids), moving, {count: sum(times) for count, times in best.items()})


def first_windows(windows: Windows, count: int) -> Windows:
    """The first `count` of the windows."""
    return windows.some(slice(count))


def _search(
    once: Callable[[], tuple[float, float]], choices: Sequence[int], began: float, limit: float
) -> dict[int, list[tuple[float, float]]]:
    """Two rounds for each number of threads, from the most down while that pays; then more for the two best."""
    rounds: dict[int, list[tuple[float, float]]] = {}

    def quickest(count: int) -> float:
        return min(map(sum, rounds[count]))

    for count in reversed(choices):
        # Half of the threads take at most twice as long; a first round with other threads also wakes or ends them.
        if rounds and time.perf_counter() - began + 4 * min(map(quickest, rounds)) > limit:
            break
        use_threads(count)
        rounds[count] = [once(), once()]
        if quickest(count) > SLOWER * min(map(quickest, rounds)):
            break
    for count in sorted(rounds, key=quickest)[:2]:
        use_threads(count)
        while len(rounds[count]) < MOST_ROUNDS and time.perf_counter() - began < PROBE_SECONDS:
            rounds[count].append(once())
    return rounds


def _round(state: TrainState, objective: Objective, windows: Windows, precision: Precision) -> tuple[float, float]:
    """Seconds of forward and backward, and of the optimizer at a rate of zero, which moves no weight.

    So no copy of the weights is held, and a round needs the memory of a step and no more. Gradients that are not finite
    would make zero times them not a number: then the optimizer is left alone.
    """
    start = time.perf_counter()
    backward(objective, windows, len(windows.ids), precision).item()
    passed = time.perf_counter()
    if all(math.isfinite(norm) for norm in gradient_norms(state.model).tolist()):
        state.optimizer.step(0.0)
    next(state.model.parameters()).flatten()[0].item()  # waits for the device
    moved = time.perf_counter()
    state.optimizer.zero_grad()
    return passed - start, moved - passed
