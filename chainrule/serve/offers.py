"""What a server is given to offer: models with their names, and runs with their checkpoints."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from chainrule.checkpoint import OpenedModel, steps_of
from chainrule.run import RunFolder, model_source
from chainrule.serve.settings import Serving


@dataclass(frozen=True)
class Offer:
    """A model, what it is called over HTTP, and the run whose checkpoints are offered beside it."""

    opened: OpenedModel
    name: str
    run: RunFolder | None = None

    @property
    def steps(self) -> list[int]:
        """The checkpoints that are there now: a run that is still trained gains and loses some."""
        return steps_of(self.run.checkpoints) if self.run else []

    def of_step(self, step: int) -> str:
        """What the checkpoint is called."""
        return f"{self.name}@{step}"


def offered(source: str, opened: OpenedModel, name: str | None = None) -> Offer:
    """What was opened at `source`, called by its last part unless a name is given; of a run with its checkpoints."""
    run = RunFolder(Path(model_source(source)))
    # A checkpoint's folder has a config as well, but no checkpoints of its own.
    is_run = run.config.is_file() and run.checkpoints.is_dir()
    return Offer(opened, name or Path(source).name or source, run if is_run else None)


def offers_of(models: OpenedModel | Sequence[Offer], settings: Serving) -> Sequence[Offer]:
    """Offers; one model alone is called by the settings, or by the last part of where it came from."""
    if not isinstance(models, OpenedModel):
        return models
    last = models.origin.replace("\\", "/").rstrip("/").rpartition("/")[2]
    return (Offer(models, settings.name or last),)
