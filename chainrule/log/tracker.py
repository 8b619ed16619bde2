"""What any tracker is told of a run."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

from chainrule.run import RunFolder


class Tracker(Protocol):
    """Takes figures and texts at a step; what it raises ends the telling, and nothing else."""

    def figures(self, step: int, values: Mapping[str, float]) -> None:
        """Numbers by name, such as train/loss."""
        ...

    def text(self, step: int, name: str, text: str) -> None:
        """What the model wrote after a prompt."""
        ...

    def close(self) -> None:
        """All of it is on the disk when this returns."""
        ...


def logs_of(run: RunFolder, tracker: str) -> Path:
    """Where a tracker's own files lie: beside the runs, so that all runs of a folder are in one place."""
    return run.path.absolute().parent / ".logs" / tracker


def settings_of(config: Mapping[str, Any]) -> dict[str, Any]:
    """The settings as `section.key`, which is how all trackers show them best."""
    return {
        f"{section}.{key}": value
        for section, values in config.items()
        if isinstance(values, Mapping)
        for key, value in values.items()
    }
