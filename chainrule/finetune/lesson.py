"""Fine-tuning as a lesson for the trainer: packed examples, the loss of what is learnt of them, answers looked at."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch

from chainrule.checkpoint import Checkpoint, OpenedModel
from chainrule.config import Config
from chainrule.data import Batches, Dataset
from chainrule.evaluate import Scoring
from chainrule.finetune.answering import Answer, Question, answers, question_of
from chainrule.finetune.batches import ExampleBatches
from chainrule.finetune.command import command_of
from chainrule.finetune.examples import Taught
from chainrule.finetune.packing import Packed
from chainrule.finetune.weights import Weights
from chainrule.model import GPT, Batch, evaluating
from chainrule.run import AnswersRow, Change, EvalRow, OnBothTexts, Sample, Summary, TaskResult, rows_of
from chainrule.tokenizer import ChatTemplate, Tokenizer
from chainrule.train import (
    Kept,
    LossFunction,
    NextToken,
    Objective,
    Session,
    final_scoring,
    held_out_bits,
    own_scoring,
    run_status,
    where,
    write_summary,
)
from chainrule.verdict import MARKS, judge_forgetting

ANSWERED, SHOWN = 16, 3
"""Held-out questions that a look answers, and those whose answers are kept as samples."""
MOST_TOKENS, SPARE_TOKENS = 256, 16
"""Tokens of an answer: twice those of the longest that should be given, and some; never more than these."""
BASE_TOKENS = 8_192
"""Base text that a look scores."""
SCORED_AT_ONCE = 8


@dataclass(frozen=True)
class AnswersLesson:
    """See chainrule.train's `Lesson`, which says what each of these is."""

    weights: Weights
    """What of the model learns."""
    train: Packed
    held_out: Packed
    questions: tuple[Question, ...]
    """Of held-out examples."""
    template: ChatTemplate | None

    @property
    def tokenizer(self) -> Tokenizer:
        """With the control tokens of the template."""
        return self.weights.tokenizer

    @property
    def replay(self) -> float:
        """The share of the learnt tokens that is base text."""
        return self.weights.tuning.replay

    @property
    def stop(self) -> frozenset[int]:
        """The ids at which an answer ends."""
        return self.template.stop if self.template else frozenset((self.tokenizer.end_of_text,))

    def window_tokens(self, config: Config) -> int:
        """As long as the examples need."""
        return self.train.ids.shape[1] - 1

    def batches(self, config: Config, dataset: Dataset, old: Dataset | None) -> ExampleBatches:
        """Packed examples, and base text where a share of it is mixed in."""
        base = None
        if self.replay and old is not None:
            base = Batches(old.split("train"), self.window_tokens(config), config.training.seed)
        return ExampleBatches(self.train, config.training.seed, base, self.replay if base else 0.0)

    def objective(self, model: GPT, function: LossFunction) -> Objective:
        """The mean over all learnt tokens of an update, whatever the micro-batches."""
        return NextToken(function)

    def adapt(self, config: Config, model: GPT) -> None:
        """An adapter around the layers, or nothing."""
        self.weights.adapt(config, model)

    def learning(self, config: Config) -> int | None:
        """Those of the adapter and of new rows."""
        return self.weights.learning(config)

    def first_model(self, config: Config, model: GPT, opened: OpenedModel) -> None:
        """The base model's weights, with rows for the new control tokens."""
        self.weights.first_model(config, model, opened)

    def kept(self, model: GPT) -> Kept:
        """All weights, or the adapter's alone."""
        return self.weights.kept(model)

    def restore(self, config: Config, model: GPT, checkpoint: Checkpoint) -> None:
        """All weights, or the base and the adapter."""
        self.weights.restore(config, model, checkpoint)

    def begin(self, session: Session) -> None:
        """Looks whether what learns can."""
        _check(self.weights, session)

    def bits_per_byte(self, session: Session, scoring: Scoring) -> float:
        """Of the held-out answers."""
        return self._score(session)[1]

    def evaluate(self, session: Session) -> None:
        """The loss of held-out answers, greedy answers to some of the questions, and what is forgotten."""
        progress = session.state.progress
        _check(self.weights, session)
        loss, bits = self._score(session)
        progress.val_loss = loss
        session.write(EvalRow(**where(session), val_loss=loss, val_bits_per_byte=bits))
        # All of them at the start, which the end is held against.
        given = self._answer(session.state.model, self.questions[: ANSWERED if progress.step else None])
        base = None
        if session.old is not None:
            base = held_out_bits(session, session.old, own_scoring(session, max_tokens=BASE_TOKENS))
        row = _answers_row(progress.step, given, self.questions, base)
        session.write(row)
        self._tell_forgetting(session)

    def sample(self, session: Session) -> None:
        """What the model answers to the first held-out questions, the same each time."""
        questions = self.questions[:SHOWN]
        for question, answer in zip(questions, self._answer(session.state.model, questions), strict=True):
            prompt = readable(question.prompt, self.tokenizer)
            session.write(Sample(**where(session), prompt=prompt, text=self.tokenizer.decode(answer.ids)))

    def finish(self, session: Session, *, begun: float, before: OnBothTexts | None) -> Summary:
        """Held-out answers before and after, all questions answered, what was forgotten; writes summary.json."""
        with session.stop.at_once():
            before = before or OnBothTexts()
            loss, bits = self._score(session)
            old = None
            if session.old is not None:
                old = held_out_bits(session, session.old, final_scoring(session, before.max_tokens))
            summary = replace(
                run_status(session, "finished", begun),
                val_loss=loss,
                val_perplexity=self.perplexity(loss),
                val_bits_per_byte=bits,
                tasks=self.results(session),
                new=_change(before.new, bits),
                old=_change(before.old, old),
                command=command_of(self.weights.tuning, session.config),
            )
        session.patient(lambda: write_summary(session.run, summary))
        return summary

    def results(self, session: Session) -> tuple[TaskResult, ...]:
        """What comes out of all held-out questions."""
        return _results(self._answer(session.state.model, self.questions), self.questions)

    def perplexity(self, loss: float) -> float | None:
        """Of the learnt tokens."""
        return math.exp(min(loss, 700.0))

    def _tell_forgetting(self, session: Session) -> None:
        """A note when base text has become harder than at the first look, by a worse mark than at any look before."""
        bits = [row.base_bits_per_byte for row in rows_of(session.run.metrics, AnswersRow) if row.base_bits_per_byte]
        step = session.state.progress.step
        told = [judge_forgetting(Change(bits[0], one), self.weights.tuning, step=step) for one in bits]
        if told and MARKS.index(told[-1].mark) > max((MARKS.index(one.mark) for one in told[:-1]), default=0):
            session.note(told[-1].text)

    def _answer(self, model: GPT, questions: Sequence[Question]) -> list[Answer]:
        longest = max((len(question.answer) for question in questions), default=0)
        most = min(MOST_TOKENS, 2 * longest + SPARE_TOKENS)
        return answers(model, questions, self.stop, most_tokens=most, n_choices=self.tokenizer.vocab_size)

    @torch.no_grad()
    def _score(self, session: Session) -> tuple[float, float]:
        """Nats per learnt token, and bits per byte of them, over all held-out examples."""
        model = session.state.model
        with evaluating(model):
            device = next(model.parameters()).device
            nats, n_bytes = 0.0, 0
            for start in range(0, len(self.held_out), SCORED_AT_ONCE):
                windows = self.held_out.windows(np.arange(start, min(start + SCORED_AT_ONCE, len(self.held_out))))
                batch = Batch.of(windows, device=device)
                nats += float(model.token_losses(batch.inputs, batch.targets, batch.documents).double().sum())
                assert windows.trained is not None
                n_bytes += int(self.tokenizer.byte_lengths[windows.ids[:, 1:][windows.trained[:, 1:]]].sum())
        n_tokens = int(self.held_out.trained[:, 1:].sum())
        return nats / max(1, n_tokens), nats / math.log(2) / max(1, n_bytes)


def _check(weights: Weights, session: Session) -> None:
    progress = session.state.progress
    # A step that was skipped has moved nothing.
    weights.check(session.state.model, progress.step - progress.n_skipped)


def readable(ids: Sequence[int], tokenizer: Tokenizer) -> str:
    """The text of ids with the words of its control tokens; raw, so it must not reach a terminal as it is."""
    words = {number: word for word, number in tokenizer.control_tokens.items()}
    parts: list[str] = []
    plain: list[int] = []
    for number in ids:
        if number in words:
            parts += [tokenizer.decode(plain), words[number]]
            plain = []
        else:
            plain.append(number)
    return "".join([*parts, tokenizer.decode(plain)])


def questions_of(held_out: Sequence[Taught]) -> tuple[Question, ...]:
    """The last question of each held-out conversation."""
    return tuple(question_of(one) for one in held_out if one.ends and not one.trained[1 : one.ends[-1]].all())


def _answers_row(step: int, given: Sequence[Answer], questions: Sequence[Question], base: float | None) -> AnswersRow:
    n = len(given)
    if not n:
        return AnswersRow(step, base_bits_per_byte=base)
    exact = sum(answer.is_exact(question) for answer, question in zip(given, questions, strict=False))
    lengths = sum(len(answer.ids) for answer in given)
    return AnswersRow(step, n, sum(answer.stopped for answer in given) / n, exact / n, lengths / n, base)


def _results(given: Sequence[Answer], questions: Sequence[Question]) -> tuple[TaskResult, ...]:
    if not given:
        return ()
    exact = sum(answer.is_exact(question) for answer, question in zip(given, questions, strict=True))
    stopped = sum(answer.stopped for answer in given)
    return (
        TaskResult("exact-match", len(given), exact, "held-out answers are word for word as they should be"),
        TaskResult("stopped", len(given), stopped, "held-out answers end by themselves"),
    )


def _change(before: float | None, after: float | None) -> Change | None:
    return None if before is None or after is None else Change(before, after)
