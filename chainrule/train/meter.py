"""Rows of training figures: all of them for who watches, fewer and fewer for the file."""

import math
from collections.abc import Sequence
from dataclasses import astuple, dataclass

from chainrule.run import TrainRow
from chainrule.train.ending import COMPLETION_TOKENS
from chainrule.train.looks import where
from chainrule.train.session import Session
from chainrule.train.step import StepResult

# Every row up to this one; then each doubling of a run's age doubles the steps between two rows of its file. A million
# steps leave 36,484 rows (9 MB) instead of a million (215 MB, and 20 s to read). A curve loses little: a row is the
# mean of all steps since the one before it, and the largest of their gradients.
DENSE_ROWS = 4096
STRETCHES = ("shown", "kept")


def is_kept(number: int) -> bool:
    """Whether row `number` (1 is the first) goes into the file: a function of the number alone."""
    apart = 1 << max(0, (number // DENSE_ROWS).bit_length() - 1)
    return number % apart == 0


@dataclass
class Stretch:
    """Sums over steps that will make one row; `since` is when it began, in seconds of training."""

    since: float
    n_steps: int = 0
    loss: float = 0.0
    grad_norm: float = 0.0

    @classmethod
    def of(cls, saved: Sequence[float | None] | None, since: float) -> "Stretch":
        """As a checkpoint has it, where null stands for what is not finite; else one that begins here."""
        if saved is None:
            return cls(since)
        first, n_steps, loss, grad_norm = (math.nan if value is None else value for value in saved)
        return cls(first, int(n_steps), loss, grad_norm)

    def add(self, result: StepResult) -> None:
        """Takes in one step; a gradient that is not finite stays visible."""
        self.n_steps += 1
        self.loss += result.loss
        worst = max(self.grad_norm, result.grad_norm)
        self.grad_norm = result.grad_norm if result.grad_norm != result.grad_norm else worst


class Meter:
    """Turns step results into rows: means since the last row, the speed, and the time that is left."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.flops_per_token = session.flops_per_token
        progress = session.state.progress
        self.shown, self.kept = (Stretch.of(progress.stretches.get(name), progress.seconds) for name in STRETCHES)

    def count(self, result: StepResult) -> None:
        """Takes one step; shows a row and keeps one when it is time for them."""
        self._take(result)
        both = zip(STRETCHES, (self.shown, self.kept), strict=True)
        self.session.state.progress.stretches = {name: list(astuple(one)) for name, one in both}

    def _take(self, result: StepResult) -> None:
        self.shown.add(result)
        self.kept.add(result)
        progress, every = self.session.state.progress, self.session.config.training.log_every
        at_an_end = progress.step in (1, self.session.course.steps)
        if progress.step % every and not at_an_end:
            return
        row = self._row(self.shown)
        if at_an_end or is_kept(progress.step // every):
            same = self.kept.n_steps == self.shown.n_steps
            self.session.keep(row if same else self._row(self.kept))
            self.kept = Stretch(progress.seconds)
        self.session.watch(row)
        self.shown = Stretch(progress.seconds)

    def _row(self, stretch: Stretch) -> TrainRow:
        seconds = self.session.state.progress.seconds - stretch.since
        tokens = stretch.n_steps * self.session.batch_tokens
        speed = tokens / max(seconds, 1e-9)
        return TrainRow(
            **where(self.session),
            loss=stretch.loss / stretch.n_steps,
            lr=self._rate(),
            grad_norm=stretch.grad_norm,
            tokens_per_second=round(speed, 1),
            peak_share=round(speed * self.flops_per_token / self.session.facts.peak_flops, 4),
            seconds_left=round(self._seconds_left(), 1),
        )

    def _seconds_left(self) -> float:
        """Until the report is written: the steps at the speed of late, what happens between them, and the end."""
        session = self.session
        remaining = session.course.steps - session.state.progress.step
        return session.costs_ahead().of_steps(remaining, session.intervals) + self._ending()

    def _ending(self) -> float:
        """Seconds of the end, by what looks and samples took lately."""
        training, pace = self.session.config.training, self.session.budget.pace
        looks = pace.costs.look / pace.planned.look if pace.planned.look and pace.costs.look else 1.0
        completions = COMPLETION_TOKENS * pace.costs.samples / max(1, training.sample_tokens)
        return self.session.budget.ending.expected(looks, completions)

    def _rate(self) -> float:
        peak = next(iter(self.session.config.optimizer.peak_rates.values()))
        return peak * self.session.factor(self.session.state.progress.step - 1)
