"""What a server is given to offer: models with their names, adapters on them, and runs with their checkpoints."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from chainrule.checkpoint import OpenedModel, open_model, step_folder, steps_of
from chainrule.generate import quantised
from chainrule.run import RunFolder, model_source
from chainrule.serve.models import named_models
from chainrule.serve.settings import Serving


@dataclass(frozen=True)
class Offer:
    """A model, what it is called over HTTP, and what is offered beside it.

    `run` is the run whose checkpoints these are, `weights` how they are kept, as those of the model are; `adapters` by
    name share the model's weights.
    """

    opened: OpenedModel
    name: str
    run: RunFolder | None = None
    weights: str = "float32"
    adapters: Mapping[str, OpenedModel] = field(default_factory=dict)

    @property
    def steps(self) -> list[int]:
        """The checkpoints that are there now: a run that is still trained gains and loses some."""
        return steps_of(self.run.checkpoints) if self.run else []

    def of_step(self, step: int) -> str:
        """What the checkpoint is called."""
        return f"{self.name}@{step}"

    def origin_of(self, step: int) -> str:
        """Where it comes from, in words."""
        assert self.run is not None, "only a run has steps"
        return f"step {step} of {self.run.path}"

    def open(self, step: int) -> OpenedModel:
        """The checkpoint, where and as the model is. Raises CheckpointError for a damaged one."""
        assert self.run is not None, "only a run has steps"
        device = self.opened.model.token_embedding.weight.device
        return quantised(open_model(step_folder(self.run.checkpoints, step), device=device), self.weights)


def offered(
    source: str,
    opened: OpenedModel,
    name: str | None = None,
    *,
    weights: str = "float32",
    adapters: Mapping[str, Path] | None = None,
) -> Offer:
    """What was opened at `source`, called by its last part unless a name is given; of a run with its checkpoints."""
    run = RunFolder(Path(model_source(source)))
    # A checkpoint's folder has a config as well, but no checkpoints of its own.
    is_run = run.config.is_file() and run.checkpoints.is_dir()
    called, *_ = found = named_models(opened, name or Path(source).name or source, adapters or {})
    return Offer(found.pop(called), called, run if is_run else None, weights, found)


def offers_of(opened: OpenedModel, settings: Serving, adapters: Mapping[str, Path]) -> Sequence[Offer]:
    """One model alone, called by the settings or by the last part of where it came from, with its adapters."""
    called, *_ = found = named_models(opened, settings.name, adapters)
    return (Offer(found.pop(called), called, adapters=found),)
