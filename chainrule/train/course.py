"""Where each step of a run stands on its schedule, also when the number of steps was planned again on the way."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Course:
    """The steps of a run: `planned` in the beginning, and each turn (step, steps): from `step` on, `steps` in all.

    The schedule begins at step `leg`: 0, or where a run was given more steps. A turn stretches or shortens what is left
    of the schedule and keeps its shape, so a decay that takes the last half of the way takes the last half of the time,
    whatever the machine does, and the last step has the rate that it was to have from the start, however few they are.
    The rate never jumps up, and a warm-up that is over does not come again. Everything here is a function of what the
    checkpoint keeps: no clock is asked.
    """

    planned: int
    turns: tuple[tuple[int, int], ...] = ()
    leg: int = 0

    @property
    def steps(self) -> int:
        """Steps in all, as they are planned now."""
        return self.turns[-1][1] if self.turns else self.planned

    @property
    def length(self) -> int:
        """Steps of the whole schedule, as it was planned in the beginning."""
        return self.planned - self.leg

    def place(self, step: int) -> float:
        """Where update `step` (0 is the run's first) stands on the schedule: from 0, its first step, to `length` - 1.

        Never falls with `step`; a turn leaves the place of its own step as it is, unless that step is the last one.
        """
        begin, last, place, end = self.leg, self.planned - 1, 0.0, self.length - 1
        for turn, steps in self.turns:
            if step < turn:
                break
            place = _between(place, end, turn - begin, last - begin)
            begin, last = turn, steps - 1
        return _between(place, end, step - begin, last - begin)

    def turned(self, step: int, steps: int) -> "Course":
        """The course on which from `step` on the run ends after `steps`, at least one step later."""
        return Course(self.planned, (*self.turns, (step, max(steps, step + 1))), self.leg)


def course_of(planned: int, turns: Sequence[Sequence[int]], leg: int = 0) -> Course:
    """The course that a state keeps as lists."""
    return Course(planned, tuple((int(step), int(steps)) for step, steps in turns), leg)


def _between(place: float, end: float, done: int, whole: int) -> float:
    """`done` of `whole` steps on the way from `place` to `end`, where a single step stands."""
    # The product comes first: without turns the place is the step itself, to the last bit.
    return place + (end - place) * done / whole if whole else end
