"""What sets one kind of training apart from another: everything else (loop, guards, checkpoints, resume) is the same.

Pretraining is `TextLesson`; fine-tuning brings its own.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from torch import Tensor

from chainrule.checkpoint import Checkpoint, OpenedModel
from chainrule.config import Config
from chainrule.data import Dataset, Windows
from chainrule.evaluate import Scoring
from chainrule.model import GPT
from chainrule.run import OnBothTexts, Summary
from chainrule.train.objective import LossFunction, Objective

if TYPE_CHECKING:
    from chainrule.train.session import Session


class BatchSource(Protocol):
    """Endless windows, a pure function of the seed and the samples consumed."""

    def windows(self, first_sample: int, count: int, n_pieces: int = 1) -> Windows:
        """The samples first_sample … first_sample + count - 1 of the run."""


@dataclass(frozen=True)
class Kept:
    """What a checkpoint holds of a model: named tensors by their file's stem, and facts that stand in its state."""

    tensors: Mapping[str, Mapping[str, Tensor]]
    facts: Mapping[str, Any] = field(default_factory=dict)


class Lesson(Protocol):
    """Where batches come from, what of them is learnt, and what is looked at on the way and at the end."""

    def window_tokens(self, config: Config) -> int:
        """Tokens of a window."""

    def batches(self, config: Config, dataset: Dataset, old: Dataset | None) -> BatchSource:
        """What is learnt from, in its order."""

    def objective(self, model: GPT, function: LossFunction) -> Objective:
        """The loss, made of the model or of `function`, its own loss, compiled or not."""

    def adapt(self, config: Config, model: GPT) -> None:
        """Changes an untrained model before its optimizer is made (an adapter around its layers); mostly nothing."""

    def learning(self, config: Config) -> int | None:
        """How many numbers learn; None: all of the model's."""

    def first_model(self, config: Config, model: GPT, opened: OpenedModel) -> None:
        """Gives the weights of the model that the run goes on from to `model`."""

    def kept(self, model: GPT) -> Kept:
        """What a checkpoint is to hold of the model; shares its memory."""

    def restore(self, config: Config, model: GPT, checkpoint: Checkpoint) -> None:
        """Gives the model back what `kept` took of it; raises CheckpointError when that does not fit."""

    def begin(self, session: "Session") -> None:
        """What is to be known once the weights are there, before the first step that this process makes."""

    def bits_per_byte(self, session: "Session", scoring: Scoring) -> float:
        """Of what is held out, for a comparison of before and after."""

    def evaluate(self, session: "Session") -> None:
        """A look at what is held out: writes its row and leaves the loss in the progress."""

    def sample(self, session: "Session") -> None:
        """Writes what the model writes."""

    def finish(self, session: "Session", *, begun: float, before: OnBothTexts | None) -> Summary:
        """The figures of the end, and summary.json."""
