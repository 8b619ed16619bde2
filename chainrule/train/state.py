"""All that a resume needs: the weights, the optimizer, and a handful of numbers.

There is no generator state among them: the order of the text is a function of (seed, samples consumed), and dropout
starts each step from a seed made of (seed, step).
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import torch
from torch import Tensor

from chainrule.base import CheckpointError, finite
from chainrule.checkpoint import Checkpoint
from chainrule.config import Config
from chainrule.device import Precision
from chainrule.model import GPT, plant_previous_token
from chainrule.optim import Optimizer
from chainrule.train.lesson import Kept


@dataclass
class Progress:
    """Where a run stands. Steps count updates that were tried; `bad_in_row` those just skipped, one after the other;
    `looked` is the last step at which evaluation and samples were done.
    """

    step: int = 0
    samples: int = 0
    seconds: float = 0.0
    n_skipped: int = 0
    bad_in_row: int = 0
    looked: int = -1
    leg: int = 0
    """The step at which the present schedule began: 0, or where a run was given other steps than it was begun with."""
    val_loss: float | None = None
    val_losses: dict[str, float] = field(default_factory=dict)
    """Held-out loss of each checkpointed step, as text, because JSON has no other keys; finite ones alone."""
    turns: list[list[int]] = field(default_factory=list)
    """Where the steps were planned again: [step, steps in all], see Course."""
    spacing: float = 1.0
    """How many times as long as the settings say all intervals are, because there are more or fewer steps."""
    sparse: int = 1
    """How many times as long those of looks and samples are besides, because they cost too much."""
    stretches: dict[str, list[float | None]] = field(default_factory=dict)
    """Sums over the steps since the last row of figures (see Meter), so that a resume between two rows loses none."""
    recent: list[list[float]] = field(default_factory=list)
    """Loss and gradient norm of the last steps, where spikes are acted on (training.on_spike)."""
    rewinds: list[list[int]] = field(default_factory=list)
    """Where the run went back: [the step that was a spike, the step it went back to, the samples passed over till]."""
    threads: list[list[int]] = field(default_factory=list)
    """Where the run went on with other threads than it was begun with: [step, threads]."""
    last_due: int | None = None
    """The step of the last checkpoint that the settings asked for; a signal makes others."""
    spent: float = 0.0
    """Seconds of all that was done for this run, training and the rest."""

    @property
    def best_step(self) -> int | None:
        """The checkpointed step with the lowest held-out loss."""
        return int(min(self.val_losses, key=lambda step: self.val_losses[step])) if self.val_losses else None

    def rank(self, step: int) -> None:
        """Lets a checkpointed step compete with the last held-out loss, unless that is no number (NaN wins any min)."""
        if self.val_loss is not None and math.isfinite(self.val_loss):
            self.val_losses[str(step)] = self.val_loss


@dataclass
class TrainState:
    """The model, its optimizer, and where the run stands."""

    model: GPT
    optimizer: Optimizer
    progress: Progress

    @classmethod
    def fresh(
        cls,
        config: Config,
        precision: Precision,
        adapt: Callable[[Config, GPT], None] | None = None,
        optimizer: type[Optimizer] = Optimizer,
    ) -> "TrainState":
        """An untrained model, its weights a function of the seed alone, and an optimizer that computes as it does.

        `adapt` changes the model before the optimizer is made.
        """
        torch.manual_seed(config.training.seed)
        model = GPT(config.model)
        if config.training.first_weights == "previous-token":
            plant_previous_token(model)
        if adapt:
            adapt(config, model)
        model.to(precision.device)
        model.checkpointing = config.machine.activation_checkpointing
        return cls(model, optimizer(model, config, precision.dtype or torch.float32), Progress())

    def contents(self, kept: Kept, facts: dict[str, Any]) -> tuple[dict[str, Mapping[str, Tensor]], dict[str, Any]]:
        """What a checkpoint of this step holds: its tensors, which share memory with the state, and its small state.

        They are what is `kept` of the model, the optimizer's, the numbers, and `facts` (versions, fingerprints).
        """
        tensors = {**kept.tensors, "optimizer": self.optimizer.state()}
        return tensors, finite({"progress": asdict(self.progress), **facts, **kept.facts})

    def restore(self, checkpoint: Checkpoint) -> None:
        """Takes optimizer state and numbers from `checkpoint`; raises CheckpointError when they do not fit.

        The weights are the lesson's to give back.
        """
        if "optimizer" not in checkpoint.stems:
            raise CheckpointError(
                f"{checkpoint.path} holds no optimizer state, which `chainrule runs prune --optimizer` removed; learn "
                f"on from its weights: chainrule pretrain --from {checkpoint.path.parent.parent} my_texts/"
            )
        try:
            self.optimizer.load_state(checkpoint.tensors("optimizer"))
            self.progress = Progress(**checkpoint.state["progress"])
        except (KeyError, TypeError) as fault:
            raise CheckpointError(f"{checkpoint.path} does not fit this run: {fault}") from fault


def seed_step(seed: int, step: int) -> None:
    """Starts the generators (dropout) of one step from a number that no other step has."""
    number = seed * 0x9E3779B97F4A7C15 + step * 0xBF58476D1CE4E5B9 & 0x7FFFFFFFFFFFFFFF
    if torch.cuda.is_initialized() or torch.backends.mps.is_available():  # type: ignore[no-untyped-call]
        torch.manual_seed(number)
    else:
        # All that torch.manual_seed does for the CPU. For a GPU that nobody uses it notes a traceback besides, which
        # took 0.2 ms a step.
        torch.default_generator.manual_seed(number)
