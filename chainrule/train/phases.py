"""What a run's time goes into, phase by phase, and the memory that it holds: a row for each look."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch

from chainrule.base import resident_bytes
from chainrule.run import PhasesRow


@dataclass
class Phases:
    """Seconds of each phase since the last row."""

    spent: dict[str, float] = field(default_factory=dict)

    def add(self, phase: str, seconds: float) -> None:
        """Takes in some seconds of a phase."""
        self.spent[phase] = self.spent.get(phase, 0.0) + seconds

    def row(self, place: Mapping[str, Any], device: str) -> PhasesRow:
        """The row for where the run stands; the sums begin again."""
        spent = {phase: round(seconds, 4) for phase, seconds in self.spent.items()}
        self.spent = {}
        held = torch.cuda.max_memory_allocated() if device == "cuda" else None
        return PhasesRow(**place, spent=spent, memory_bytes=resident_bytes(), device_bytes=held)
