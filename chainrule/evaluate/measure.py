"""What `chainrule evaluate` measures: a run's own held-out text as the run did, or texts that are named."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from chainrule.checkpoint import OpenedModel
from chainrule.config import TextConfig
from chainrule.data import all_documents
from chainrule.evaluate.documents import score_documents
from chainrule.evaluate.held_out import held_out_text, own_scoring, run_beside
from chainrule.evaluate.scoring import Scores, Scoring
from chainrule.evaluate.tasks import Candidate, open_task
from chainrule.evaluate.texts import encode_texts
from chainrule.run import Summary, TaskResult, read_tuning, unsealed_files

# What a scoring of documents depends on: each is alone, and threads are torch's.
WINDOWS = ("max_tokens", "stride", "micro_batch", "precision")
Given = dict[str, Any]


@dataclass(frozen=True)
class Measurement:
    """The figures, the settings that they were measured with, and sentences on what was done."""

    total: Scores
    used: Given
    said: tuple[str, ...]
    left_out: tuple[str, ...] = ()
    more: Given = field(default_factory=dict)
    """For texts: how many documents, how many without a token, and with `by_document` the figures of each."""

    def row(self) -> Given:
        """By name, for JSON."""
        by_source = {name: part.figures() for name, part in self.total.by_source.items()}
        return {**self.total.figures(), "by_source": by_source, **self.more, "scored": self.used}


def measure_own(model: OpenedModel, source: str, **given: Any) -> Measurement:
    """The run's own held-out text, scored as the run scored it at its end: the same figure to the last digit.

    `given` are settings of `Scoring` (max_tokens, stride, micro_batch, precision) that replace the run's; None leaves
    them. Raises ConfigError when `source` is no run with text.
    """
    run = run_beside(source)
    scoring, summary = own_scoring(run)
    used = replace(scoring, **{key: value for key, value in given.items() if value is not None})
    store = held_out_text(run, model)
    scores = used.of(model, store)
    how = _windows(used.row(), model.config.context_length)
    said = f"the run's own held-out text: {scores.n_tokens:,} of {store.n_tokens - 1:,} tokens scored, {how}"
    compared = _compared(model, scores, summary, as_scored=used == scoring)
    if read_tuning(run) is not None:
        compared = iter(("the run's own figures are of held-out answers alone, this one is of the questions too",))
    return Measurement(scores, used.row(), (*unsealed_files(run), said, *compared))


def measure_texts(model: OpenedModel, text: TextConfig, *, by_document: bool = False, **given: Any) -> Measurement:
    """All of the texts, in the model's own tokens, each document alone behind one end-of-text, each token once.

    `given` are settings of `Scoring`; None leaves what is usual.
    """
    left_out: list[str] = []
    texts = encode_texts(all_documents(text, left_out.append), model.tokenizer)
    context = model.config.context_length
    scoring = replace(Scoring(stride=context), **{key: value for key, value in given.items() if value is not None})
    found = score_documents(model.model, texts, model.tokenizer.byte_lengths, scoring)
    total, used = found.total, {key: value for key, value in scoring.row().items() if key in WINDOWS}
    empty = f"; {texts.n_empty:,} have no token" if texts.n_empty else ""
    said = (
        f"{texts.n_documents:,} documents, each behind one end-of-text{empty}; "
        f"{total.n_tokens:,} of {len(texts.tokens) - texts.n_documents:,} tokens scored, {_windows(used, context)}"
    )
    more: Given = {"documents": texts.n_documents, "empty": texts.n_empty, "left_out": left_out}
    if by_document:
        more["by_document"] = [{"name": name, **one.figures()} for name, one in found.by_document()]
    return Measurement(total, used, (said,), tuple(left_out), more)


def measure_tasks(model: OpenedModel, words: Sequence[str], *, seed: int = 0, **given: Any) -> Iterator[TaskResult]:
    """What the model gets right of each task (see `open_task`), one after the other; all are opened before the first.

    `given` are settings of `Scoring`, of which tasks heed micro_batch and precision; None leaves what is usual.
    """
    scoring = replace(Scoring(), **{key: value for key, value in given.items() if value is not None})
    candidate = Candidate(model.model, model.tokenizer, scoring, seed)
    tasks = [open_task(word) for word in words]
    return (result for task in tasks if (result := task.examine(candidate)) is not None)


def _compared(model: OpenedModel, scores: Scores, summary: Summary, *, as_scored: bool) -> Iterator[str]:
    """In what the figure is not the run's own, and why."""
    own = summary.val_bits_per_byte
    if own is None or summary.status != "finished":
        yield "the run has not scored itself yet"
        return
    if own == scores.bits_per_byte and as_scored:
        yield "the same figure as in the run's summary, to the last digit"
        return
    why = []
    if model.step != summary.step:
        why.append(f"it is of step {summary.step}, and this is step {model.step}")
    if not as_scored:
        why.append("other settings were asked for")
    yield f"the run's own figure is {own:.6f} bits per byte: {'; '.join(why) or 'other machine, or other versions'}"


def _windows(used: Given, context_length: int) -> str:
    thinned = f", at most {used['max_tokens']:,} tokens evenly spread" if used["max_tokens"] else ""
    return f"windows of {context_length} moving by {used['stride']}, {used['precision']}{thinned}"
