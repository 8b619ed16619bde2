"""Preference tuning as a lesson for the trainer: pairs or rated answers, held against the model that it began as."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor

from chainrule.base import ConfigError, TrainingError
from chainrule.config import Config
from chainrule.data import Dataset
from chainrule.finetune.groups import GroupBatches, Groups
from chainrule.finetune.lesson import AnswersLesson
from chainrule.finetune.pairs import Preference, batch_key, check_first, reference_logps
from chainrule.finetune.preference import PairLogps, PairObjective, joined, preference_row
from chainrule.model import GPT, Batch, evaluating
from chainrule.run import PreferenceRow, TaskResult, is_sealed_file, seal_files
from chainrule.train import LossFunction, Session


@dataclass(frozen=True)
class PairsLesson(AnswersLesson):
    """Answers that are judged; `train` and `held_out` of the other lesson are the good ones alone, in windows.

    See chainrule.train's `Lesson`.
    """

    groups: Groups = field(kw_only=True)
    held_out_groups: Groups = field(kw_only=True)
    preference: PairObjective = field(kw_only=True)
    file: Path = field(kw_only=True)
    """Where what the model thought at the start is kept."""
    reference: dict[str, PairLogps] = field(default_factory=dict, kw_only=True)
    """Filled when the run begins, or goes on."""
    good: dict[str, Tensor] = field(default_factory=dict, kw_only=True)

    def batches(self, config: Config, dataset: Dataset, old: Dataset | None) -> GroupBatches:  # type: ignore[override]
        """Groups of answers, in an order of each epoch's own; raises ConfigError for a part of a group."""
        if config.batch_windows % self.groups.n_rows:
            raise ConfigError(
                f"training.batch_tokens={config.training.batch_tokens} is {config.batch_windows} rows, and these "
                f"answers are learnt {self.groups.n_rows} rows at a time; leave it out, and say --batch-examples"
            )
        return GroupBatches(self.groups, config.training.seed)

    def objective(self, model: GPT, function: LossFunction) -> Preference:
        """The mean over the pairs, or over the rated answers."""
        return Preference(model, self.preference, self.reference, self.good)

    def begin(self, session: Session) -> None:
        """Asks the model what it thinks before it learns, or reads what was written down of that."""
        super().begin(session)
        model, step = session.state.model, session.state.progress.step
        if session.micro_batch != self.groups.n_rows:
            raise ConfigError(
                f"machine.micro_batch={session.micro_batch}: these answers are learnt {self.groups.n_rows} rows at a "
                "time, so that they can be held against the start; leave machine.micro_batch as the run has it"
            )
        for batch, good in self._all(session.precision.device):
            if good is not None:
                self.good[batch_key(batch)] = good
        n_groups = len(self.groups) + len(self.held_out_groups)
        session.note(f"{n_groups:,} groups of answers are held against the model as it was")
        data, template = session.dataset.manifest.fingerprint, self.weights.tuning.template
        about = f"{data} {template} {session.precision.name}"
        whole = step > 0 and self.weights.tuning.lora is None
        sound = is_sealed_file(session.run, self.file)
        if whole and not (self.file.is_file() and sound):
            raise TrainingError(
                f"{self.file} is gone or damaged: what the model thought of the answers before it learnt, which nobody "
                "can tell any more. Bring it back, or start the fine-tuning again"
            )
        if not sound:
            self.file.unlink(missing_ok=True)
        was = model.training
        with session.precision.autocast():
            batches = (batch for batch, _ in self._all(session.precision.device))
            # In training mode, as the policy will be: there is no dropout, so it draws nothing.
            found = reference_logps(model.train(), batches, self.file, about, self.good)
            seal_files(session.run, self.file)
            self.reference.update(found)
            if step == 0:
                first = self.groups.batch(0, session.precision.device)
                learnt = self.objective(model, model.loss)
                policy = learnt.logps(first)
                check_first(self.preference, policy, learnt.reference_of(first, policy))
        model.train(was)

    def evaluate(self, session: Session) -> None:
        """Margins and log-probabilities of held-out answers beside what the other lesson looks at."""
        super().evaluate(session)
        session.write(self._row(session))

    def results(self, session: Session) -> tuple[TaskResult, ...]:
        """Held-out answers that are judged rightly, besides those that are given rightly."""
        row = self._row(session)
        what = "held-out answers are judged more rightly than at the start"
        return (TaskResult("preferred", row.n, row.right, what), *super().results(session))

    def perplexity(self, loss: float) -> float | None:
        """None: the loss is none of tokens."""
        return None

    def _score(self, session: Session) -> tuple[float, float]:
        """The objective on held-out answers, and bits per byte of the good ones."""
        return float(self.preference.loss(*self._judged(session))), super()._score(session)[1]

    def _row(self, session: Session) -> PreferenceRow:
        policy, reference = self._judged(session)
        loss = float(self.preference.loss(policy, reference))
        return preference_row(session.state.progress.step, loss, policy, reference)

    def _judged(self, session: Session) -> tuple[PairLogps, PairLogps]:
        """What the model thinks of all held-out answers, and what it thought: computed as it was then, to the bit."""
        model, device = session.state.model, session.precision.device
        learnt, policies, known = self.objective(model, model.loss), list[PairLogps](), list[PairLogps]()
        with evaluating(model), session.precision.autocast(), torch.enable_grad():
            for number in range(len(self.held_out_groups)):
                batch = self.held_out_groups.batch(number, device)
                policies.append(learnt.logps(batch).map(Tensor.detach))
                known.append(learnt.reference_of(batch, policies[-1]))
        return joined(policies), joined(known)

    def _all(self, device: str) -> Iterator[tuple[Batch, Tensor | None]]:
        for groups in (self.groups, self.held_out_groups):
            for number in range(len(groups)):
                good = None if groups.good is None else torch.from_numpy(groups.good[number]).to(device)
                yield groups.batch(number, device), good
