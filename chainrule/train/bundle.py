"""What a step out of line leaves behind: everything that is needed to make it again and ask why."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from chainrule.base import DiskError, finite, require_room
from chainrule.checkpoint import save_checkpoint, saved_bytes, steps_of
from chainrule.data import Windows
from chainrule.health import Excess, Norms
from chainrule.plan import checkpoint_bytes
from chainrule.train.session import Session, environment
from chainrule.train.step import StepResult

# Each holds the weights: a run's bundles take at most three times their size on the disk.
MOST_BUNDLES = 3
SHOWN_WINDOWS, SHOWN_CHARACTERS = 32, 400


@dataclass(frozen=True)
class PastStep:
    """An earlier step's numbers, by layer."""

    step: int
    loss: float
    grad_norm: float
    norms: Norms

    def row(self) -> dict[str, Any]:
        """As JSON holds it."""
        numbers = {"gradient": self.norms.gradient, "weight": self.norms.weight, "ratio": self.norms.ratio}
        return {"step": self.step, "loss": self.loss, "grad_norm": self.grad_norm, **numbers}


@dataclass(frozen=True)
class Circumstances:
    """Norms at a step, of each layer (gradient and weight) and of each parameter's gradient, and what was usual before.

    `usual` has the losses and the gradient norms by which the step was judged, `past` the last steps by layer.
    """

    layers: Sequence[str]
    gradient: Sequence[float]
    weight: Sequence[float]
    parameters: Mapping[str, float]
    usual: Mapping[str, Sequence[float]]
    past: Sequence[PastStep]

    def row(self) -> dict[str, Any]:
        """As JSON holds it."""
        return {
            "layers": list(self.layers),
            "gradient": list(self.gradient),
            "weight": list(self.weight),
            "parameters": dict(self.parameters),
            "usual": {name: list(values) for name, values in self.usual.items()},
            "past": [one.row() for one in self.past],
        }


def save_bundle(
    session: Session, windows: Windows, result: StepResult, excess: Sequence[Excess], around: Circumstances
) -> Path | None:
    """Writes spikes/step-00000123/ and returns it; None when there are three already, or the disk refuses.

    Called before the update: the weights are those that the loss and the gradient were computed with. The folder is a
    checkpoint (whole or absent, with checksums) that any command takes as a model; beside model.safetensors it holds
    batch.safetensors, and in state.json the numbers. A full disk must not end a run that is otherwise well, and a
    bundle leaves room for the next checkpoint.
    """
    run, progress, config = session.run, session.state.progress, session.config
    there = [step for step in steps_of(run.spikes) if step != progress.step + 1]
    if len(there) >= MOST_BUNDLES:
        return None
    factor = session.factor(progress.step)
    saved = steps_of(run.checkpoints)
    copies = [run.config, run.tokenizer, *([run.adapter_config] if run.adapter_config.is_file() else [])]
    kept = session.lesson.kept(session.state.model)
    state = {
        **kept.facts,
        "step": progress.step + 1,
        "what": [one.__dict__ for one in excess],
        # As text, because JSON knows neither NaN nor infinity, and which of them it was matters.
        "loss": str(result.loss),
        "grad_norm": str(result.grad_norm),
        "seed": config.training.seed,
        "first_sample": progress.samples,
        "micro_batch": session.micro_batch * (len(windows.ids) // config.batch_windows),  # in windows as they were cut
        "factor": factor,
        **{name: peak * factor for name, peak in config.optimizer.peak_rates.items()},
        "precision": session.precision.name,
        "device": session.precision.device,
        "checkpoint": f"step-{saved[-1]:08d}" if saved else None,
        "environment": environment(session.facts),
        **around.row(),
        "texts": [session.tokenizer.decode(ids.tolist())[:SHOWN_CHARACTERS] for ids in windows.ids[:SHOWN_WINDOWS]],
    }
    batch = {"ids": torch.from_numpy(windows.ids)}
    if windows.documents is not None:
        batch["documents"] = torch.from_numpy(windows.documents)
    if windows.trained is not None:
        batch["trained"] = torch.from_numpy(windows.trained.astype("uint8"))
    tensors = {**kept.tensors, "batch": batch}
    try:
        needed = saved_bytes(tensors, copies) + _next_checkpoint_bytes(session, copies)
        require_room(run.spikes, needed, "a bundle and the next checkpoint", "The checkpoint goes before it.")
        return save_checkpoint(run.spikes, progress.step + 1, tensors, finite(state), copies)
    except DiskError as fault:
        session.note(f"step {progress.step + 1} was out of line, and its bundle could not be kept: {fault}")
        return None


def _next_checkpoint_bytes(session: Session, copies: Sequence[Path]) -> int:
    """What the run needs to go on: a bundle must not take the room of the weights that it is about."""
    learning = session.lesson.learning(session.config)
    return checkpoint_bytes(session.config, sum(path.stat().st_size for path in copies), learning)
