"""What a run's time goes into, as it was measured lately, and how much of the time is left."""

import math
import time
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from statistics import median
from typing import Any

from chainrule.config import TrainingConfig
from chainrule.run import StepCosts
from chainrule.train.ending import Ending

# How far back a mean of steps looks, as a share of the time, and at least in seconds and in steps: long enough that one
# slow step is no trend, short enough that another program is noticed while there is time to do something about it.
MEMORY_SHARE, LEAST_MEMORY, MEMORY_STEPS = 1 / 20, 3.0, 24
# After so many steps one alone raises the mean by no more than a step of this many times its length would.
TRUSTED_STEPS, MOST_AT_ONCE = 3, 4.0
# When the middle one of so many steps is off the mean by this factor, most of them are: the pace is another one, and
# the mean begins again from them. A mean alone would take in a change half when the run is over.
RECENT_STEPS, OTHER_PACE = 5, 1.3


@dataclass(frozen=True)
class Intervals:
    """Steps between two looks, two rounds of samples, two checkpoints."""

    looks: int
    samples: int
    saves: int

    @classmethod
    def of(cls, training: TrainingConfig, spacing: float = 1.0, sparse: int = 1) -> "Intervals":
        """As the settings say, all of them `spacing` times as long, and those of looks and samples `sparse` times."""
        looks, samples, saves = training.eval_every * sparse, training.sample_every * sparse, training.save_every
        return cls(*(max(1, round(every * spacing)) for every in (looks, samples, saves)))


@dataclass(frozen=True)
class Costs(StepCosts):
    """The seconds of a step and of what happens between steps, and what they come to over a run."""

    def looking(self, intervals: Intervals) -> float:
        """What looks and samples add to a step, on average."""
        return self.look / intervals.looks + self.samples / intervals.samples

    def of_steps(self, n_steps: int, intervals: Intervals) -> float:
        """Seconds of the next `n_steps`, which are the run's last, with all that happens between and after them."""
        return n_steps * (self.step + self.looking(intervals) + self.save / intervals.saves) + self.last

    def steps_in(self, seconds: float, intervals: Intervals) -> int:
        """How many such steps fit; at least one."""
        each = max(self.step + self.looking(intervals) + self.save / intervals.saves, 1e-9)
        return max(1, int(max(0.0, seconds - self.last) / each))

    @property
    def last(self) -> float:
        """After the last step there is a look, a round of samples and a checkpoint, whatever the intervals say."""
        return self.look + self.samples + self.save + self.beside


@dataclass
class Clock:
    """Seconds spent on a run: those of this process since `begun`, and those `before` it."""

    begun: float = field(default_factory=lambda: Clock.now())
    before: float = 0.0

    @staticmethod
    def now() -> float:
        """Seconds of a clock that never goes back."""
        return time.perf_counter()

    def leave_out(self, seconds: float) -> None:
        """Takes no account of the last `seconds`: nothing was done in them."""
        self.begun += seconds

    def spent(self) -> float:
        """Seconds so far."""
        return self.before + self.now() - self.begun


@dataclass
class Pace:
    """Means that forget: each second that passes takes its share of what was known before."""

    memory: float = LEAST_MEMORY
    costs: Costs = field(default_factory=lambda: Costs(0.0))
    planned: Costs = field(default_factory=lambda: Costs(0.0))
    """What the run was planned with."""
    n_steps: int = 0
    """Steps that this process has measured."""
    first: float = 0.0
    """Seconds of a step as the probe had them, or the first steps of a run that nobody probed."""
    _seconds: float = 0.0
    _count: float = 0.0
    _recent: deque[float] = field(default_factory=lambda: deque(maxlen=RECENT_STEPS))

    def start(self, costs: Costs, seconds: float | None) -> None:
        """Takes the costs that the run was planned with, for a run of so many seconds."""
        self.costs, self.planned, self.first = costs, costs, costs.step
        self.memory = max(LEAST_MEMORY, MEMORY_SHARE * (seconds or 0.0))
        self._seconds, self._count = costs.step, 1.0 if costs.step else 0.0

    def stepped(self, seconds: float) -> None:
        """Takes in one step. A single stall is no pace: one step counts for little more than those before it."""
        if self.n_steps >= TRUSTED_STEPS:
            seconds = min(seconds, MOST_AT_ONCE * self.costs.step)
        kept = math.exp(-seconds / max(self.memory, MEMORY_STEPS * self.costs.step))
        self._seconds, self._count = self._seconds * kept + seconds, self._count * kept + 1
        self.n_steps += 1
        self._recent.append(seconds)
        middle = median(self._recent)
        if len(self._recent) == RECENT_STEPS and not 1 / OTHER_PACE < middle * self._count / self._seconds < OTHER_PACE:
            self._seconds, self._count = RECENT_STEPS * middle, float(RECENT_STEPS)
        self.costs = replace(self.costs, step=self._seconds / self._count)
        self.first = self.first or self.costs.step

    def happened(self, what: str, seconds: float) -> None:
        """Takes in a look, a round of samples or a save; the first of its kind replaces what was guessed."""
        self.costs = replace(self.costs, **{what: seconds})

    def wrote(self, seconds: float) -> None:
        """Takes in a checkpoint that was written in so many seconds while training went on."""
        self.costs = replace(self.costs, beside=max(0.0, seconds - self.costs.save))


@dataclass
class Budget:
    """The time of a run: `seconds` for all of it (None when a number of steps was asked for), and what it goes into."""

    seconds: float | None = None
    clock: Clock = field(default_factory=Clock)
    pace: Pace = field(default_factory=Pace)
    ending: Ending = field(default_factory=Ending)
    """What comes after the last look."""
    known: dict[int, Mapping[str, Any]] = field(default_factory=dict)
    """By step: decisions that the run took before it was killed, and takes again when it comes there."""
    turned_at: float = -math.inf
    """When the steps were last planned again, in seconds spent."""
    turned_after: int = 0
    """Steps measured until then."""
    said_steps: int = 0
    """Steps of the plan that was last told."""
    said_slow: bool = False
    known_threads: dict[int, int] = field(default_factory=dict)
    """By step: with how many threads the run went on before it was killed."""
    slow_after: int = 0
    """Steps measured until threads were last changed."""

    @property
    def left(self) -> float:
        """Seconds for training and what happens between its steps; infinite without a budget."""
        return math.inf if self.seconds is None else self.seconds - self.ending.total - self.clock.spent()
