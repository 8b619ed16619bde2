"""All that the loop works with, in one place."""

import platform
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any, TypeVar

import torch

from chainrule.config import Config, ModelConfig
from chainrule.data import Dataset
from chainrule.device import MachineFacts, Precision
from chainrule.optim import rate_factor, window_pieces
from chainrule.plan import flops_per_token
from chainrule.run import AnswersRow, EvalRow, Event, PreferenceRow, RunFolder, Sample, TrainRow, append_row
from chainrule.tokenizer import Tokenizer
from chainrule.train.course import Course, course_of
from chainrule.train.lesson import BatchSource, Lesson
from chainrule.train.live_page import LivePage
from chainrule.train.objective import Objective
from chainrule.train.pace import Budget, Costs, Intervals
from chainrule.train.phases import Phases
from chainrule.train.room import Home, patiently
from chainrule.train.saving import Background
from chainrule.train.settings import in_windows
from chainrule.train.state import TrainState
from chainrule.train.stop import Stop
from chainrule.train.team import Team
from chainrule.train.watch import Watch

Done = TypeVar("Done")
# Places at which the steps that are left are looked at, to know what they take on average.
LOOKED_AHEAD = 32


@dataclass
class Session:
    """A run that is being trained by this process, alone or with others, which alone writes its folder."""

    run: RunFolder
    config: Config
    facts: MachineFacts
    tokenizer: Tokenizer
    dataset: Dataset
    old: Dataset | None
    batches: BatchSource
    state: TrainState
    objective: Objective
    micro_batch: int
    watch: Watch
    stop: Stop
    lesson: Lesson
    team: Team | None = None
    """The processes that make the updates together; None: this one alone."""
    budget: Budget = field(default_factory=Budget)
    phases: Phases = field(default_factory=Phases)
    page: LivePage | None = None
    saver: Background | None = None
    """Writes checkpoints while training goes on; None: training waits for them."""

    def __post_init__(self) -> None:
        self.home = Home.of(self.run)

    @property
    def course(self) -> Course:
        """The run's steps as they are planned now."""
        progress = self.state.progress
        return course_of(self.config.training.steps, progress.turns, progress.leg)

    @property
    def intervals(self) -> Intervals:
        """Steps between looks, samples and checkpoints, as they are planned now."""
        progress = self.state.progress
        return Intervals.of(self.config.training, progress.spacing, progress.sparse)

    @property
    def batch_tokens(self) -> int:
        """Tokens of an update, those of padding and of prompts included."""
        return self.config.batch_windows * self.lesson.window_tokens(self.config)

    @property
    def flops_per_token(self) -> float:
        """Floating-point operations that a token of a step takes: where little learns, no product for most weights."""
        parameters = list(self.state.model.parameters())
        learning = sum(one.numel() for one in parameters if one.requires_grad) / sum(one.numel() for one in parameters)
        as_long = in_windows(self.config, self.lesson.window_tokens(self.config))
        return flops_per_token(as_long.model) * (2 + learning) / 3

    @property
    def precision(self) -> Precision:
        """Where and in which number format the model computes."""
        return Precision(self.facts.device, self.facts.precision)

    def factor(self, step: int) -> float:
        """The learning rate of update `step` (0 is the first) as a share of its peak."""
        course = self.course
        return rate_factor(course.place(step), course.length, self.config.schedule)

    def window_pieces(self, step: int) -> int:
        """How many windows of update `step` make a whole one; 1 in a schedule that begins a second time."""
        return _pieces(self.course, self.course.place(step), self.config)

    def step_share(self, step: int) -> float:
        """What update `step` takes, as a share of one with whole windows: attention looks back less far in pieces."""
        return 1 - attention_share(self.config.model) * (1 - 1 / self.window_pieces(step))

    def costs_ahead(self) -> Costs:
        """What a step, a look, samples and a checkpoint will cost on the way that is left, by what was measured lately.

        Windows that grow make the steps to come dearer than those that were measured.
        """
        costs, course = self.budget.pace.costs, self.course
        if not self.config.schedule.first_window or course.leg:
            return costs
        begin = course.place(self.state.progress.step)
        places = (begin + (course.length - begin) * (at + 0.5) / LOOKED_AHEAD for at in range(LOOKED_AHEAD))
        length = sum(1 / _pieces(course, place, self.config) for place in places) / LOOKED_AHEAD
        return replace(costs, step=costs.step * (1 - attention_share(self.config.model) * (1 - length)))

    def note(self, message: str, **more: Any) -> None:
        """Something that happened to the run: a line in events.jsonl, and shown."""
        progress = self.state.progress
        self.patient(lambda: write_event(self.run, self.watch, message, step=progress.step, **more))

    def write(self, row: TrainRow | EvalRow | AnswersRow | PreferenceRow | Sample) -> None:
        """A line of metrics.jsonl, or of samples.jsonl, and shown."""
        self.keep(row)
        self.watch(row)

    def keep(self, row: TrainRow | EvalRow | AnswersRow | PreferenceRow | Sample) -> None:
        """The line alone."""
        self.append(self.run.samples if isinstance(row, Sample) else self.run.metrics, row.row())

    def append(self, path: Path, row: Mapping[str, Any]) -> None:
        """A line of one of the run's files."""
        self.patient(lambda: append_row(path, row))

    def patient(self, write: Callable[[], Done]) -> Done:
        """What `write` returns; while the disk is full it is tried again, as `training.on_full` says."""
        return patiently(
            write,
            run=self.run,
            stop=self.stop,
            watch=self.watch,
            clock=self.budget.clock,
            on_full=self.config.training.on_full,
            home=self.home,
        )


def write_event(run: RunFolder, watch: Watch, message: str, **more: Any) -> None:
    """A line in events.jsonl, and shown."""
    event = Event(message, time.strftime("%Y-%m-%dT%H:%M:%S"), **more)
    append_row(run.events, event.row())
    watch(event)


def environment(facts: MachineFacts) -> dict[str, Any]:
    """What the bits of a run depend on besides its configuration."""
    return {
        "chainrule": version("chainrule"),
        "torch": torch.__version__,
        "python": platform.python_version(),
        "device": facts.device_name,
        "precision": facts.precision,
        "threads": facts.threads,
        "kernels": facts.kernels,
        "cpu_capability": torch.backends.cpu.get_cpu_capability(),
        "layout": facts.layout,
    }


def attention_share(model: ModelConfig) -> float:
    """The share of a step's work that grows with the length of the windows."""
    without = model.model_copy(update={"context_length": 0})
    return 1 - flops_per_token(without) / flops_per_token(model)


def _pieces(course: Course, place: float, config: Config) -> int:
    return 1 if course.leg else window_pieces(place, course.length, config.schedule, config.model.context_length)
