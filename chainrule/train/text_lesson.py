"""Pretraining as a lesson: raw text, every token of it learnt, and held-out text looked at."""

from dataclasses import dataclass

from chainrule.checkpoint import Checkpoint, OpenedModel, load_weights
from chainrule.config import Config
from chainrule.data import Batches, Dataset
from chainrule.evaluate import Scoring
from chainrule.model import GPT
from chainrule.run import OnBothTexts, Summary
from chainrule.train.finish import finish
from chainrule.train.lesson import Kept
from chainrule.train.looks import evaluate, held_out_bits, sample
from chainrule.train.objective import LossFunction, NextToken, next_token
from chainrule.train.prepare import training_batches
from chainrule.train.session import Session


@dataclass(frozen=True)
class TextLesson:
    """See `Lesson`, which says what each of these is."""

    def window_tokens(self, config: Config) -> int:
        """A whole context."""
        return config.model.context_length

    def batches(self, config: Config, dataset: Dataset, old: Dataset | None) -> Batches:
        """Windows of the text, and of the old one where a share of it is mixed in."""
        return training_batches(config, dataset, old)

    def objective(self, model: GPT, function: LossFunction) -> NextToken:
        """The mean over all tokens."""
        return next_token(model, function)

    def adapt(self, config: Config, model: GPT) -> None:
        """Nothing: all weights are learnt as they are."""

    def learning(self, config: Config) -> int | None:
        """All of them."""
        return None

    def first_model(self, config: Config, model: GPT, opened: OpenedModel) -> None:
        """The weights of another model of the same shape."""
        load_weights(model, opened.model.state_dict(), opened.origin)

    def kept(self, model: GPT) -> Kept:
        """All weights."""
        return Kept({"model": dict(model.state_dict())})

    def restore(self, config: Config, model: GPT, checkpoint: Checkpoint) -> None:
        """All weights."""
        load_weights(model, checkpoint.tensors("model"), str(checkpoint.path))

    def begin(self, session: Session) -> None:
        """Nothing."""

    def bits_per_byte(self, session: Session, scoring: Scoring) -> float:
        """Of the held-out text."""
        return held_out_bits(session, session.dataset, scoring)

    def evaluate(self, session: Session) -> None:
        """Windows that are spread over the held-out text."""
        evaluate(session)

    def sample(self, session: Session) -> None:
        """What the model writes after each prompt."""
        sample(session)

    def finish(self, session: Session, *, begun: float, before: OnBothTexts | None) -> Summary:
        """Held-out text, baselines, completions, tasks."""
        return finish(session, begun=begun, before=before)
