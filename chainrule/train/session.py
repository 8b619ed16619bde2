"""All that the loop works with, in one place."""

import json
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


def read_json(path: Any) -> dict[str, Any]:
    """The object in a JSON file of the run folder; empty when the file is absent."""
    return json.loads(path.read_bytes()) if path.is_file() else {}
