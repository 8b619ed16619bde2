"""All that the loop works with, in one place."""

import platform
import time
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

import torch

from chainrule.config import Config
from chainrule.data import Batches, Dataset
from chainrule.device import MachineFacts
from chainrule.optim import rate_factor, window_pieces
from chainrule.run import RunFolder, append_row
from chainrule.tokenizer import Tokenizer
from chainrule.train.state import TrainState
from chainrule.train.step import LossFunction, Precision
from chainrule.train.stop import Stop
from chainrule.train.watch import Watch


@dataclass
class Session:
    """A run that is being trained by this process, which alone writes its folder."""

    run: RunFolder
    config: Config
    facts: MachineFacts
    tokenizer: Tokenizer
    dataset: Dataset
    old: Dataset | None
    batches: Batches
    state: TrainState
    loss_function: LossFunction
    micro_batch: int
    watch: Watch
    stop: Stop

    @property
    def precision(self) -> Precision:
        """Where and in which number format the model computes."""
        return Precision(self.facts.device, self.facts.precision)

    def factor(self, step: int) -> float:
        """The learning rate of update `step` (0 is the first) as a share of its peak."""
        leg, training = self.state.progress.leg, self.config.training
        return rate_factor(step - leg, training.steps - leg, self.config.schedule)

    def window_pieces(self, step: int) -> int:
        """Into how many pieces the windows of update `step` are cut; 1 in a schedule that begins a second time."""
        if self.state.progress.leg:
            return 1
        config = self.config
        return window_pieces(step, config.training.steps, config.schedule, config.model.context_length)

    def note(self, message: str, **more: Any) -> None:
        """Something that happened to the run: a line in events.jsonl, and shown."""
        progress = self.state.progress
        write_event(self.run, self.watch, message, step=progress.step, **more)

    def write_row(self, kind: str, row: Mapping[str, Any]) -> None:
        """A line of metrics.jsonl, or of samples.jsonl, and shown."""
        path = self.run.samples if kind == "sample" else self.run.metrics
        append_row(path, row if kind == "sample" else {"kind": kind, **row})
        self.watch(kind, row)


def write_event(run: RunFolder, watch: Watch, message: str, **more: Any) -> None:
    """A line in events.jsonl, and shown."""
    row = {"time": time.strftime("%Y-%m-%dT%H:%M:%S"), "message": message, **more}
    append_row(run.events, row)
    watch("notice", row)


def environment(facts: MachineFacts) -> dict[str, Any]:
    """What the bits of a run depend on besides its configuration."""
    return {
        "chainrule": version("chainrule"),
        "torch": torch.__version__,
        "python": platform.python_version(),
        "device": facts.device_name,
        "precision": facts.precision,
        "threads": facts.threads,
        "cpu_capability": torch.backends.cpu.get_cpu_capability(),
    }
