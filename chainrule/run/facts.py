"""What a run folder says about its run: read from files alone, and content with whatever is missing."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, fields, replace
from itertools import groupby, islice
from statistics import fmean
from typing import Any, TypeVar

from chainrule.run.chain import journal_lines
from chainrule.run.ends import lost_ends
from chainrule.run.folder import RunFolder
from chainrule.run.health_record import HealthRecord
from chainrule.run.journal import read_rows, rows_from_end
from chainrule.run.lock import is_running
from chainrule.run.records import (
    Ancestor,
    Anchor,
    AnswersRow,
    Baselines,
    DataReport,
    EvalRow,
    Event,
    Machine,
    Manifest,
    PhasesRow,
    Plan,
    PreferenceRow,
    Sample,
    ShownExample,
    Summary,
    Surprise,
    TokenizerFacts,
    TrainRow,
    Tuning,
    read_manifest,
    read_start,
    read_summary,
    read_tuning,
    rows_of,
)
from chainrule.run.seal import unsealed_files

MOST_EVENTS = 200
# Rows that are held of a journal of any length; the page draws 1,200 points.
MOST_ROWS = 5000
# Rounds of samples that are held; the page shows so many of them at the most.
MOST_ROUNDS = 200
MOST_EXAMPLES = 8
MOST_STRETCHES = 12
Row = TypeVar("Row", TrainRow, EvalRow)


@dataclass(frozen=True)
class Facts:
    """Everything that the page shows, but for the search for copies."""

    run: RunFolder
    status: str
    summary: Summary = field(default_factory=Summary)
    machine: Machine = field(default_factory=Machine)
    plan: Plan = field(default_factory=Plan)
    tokenizer: TokenizerFacts = field(default_factory=TokenizerFacts)
    data: DataReport = field(default_factory=DataReport)
    manifest: Manifest = field(default_factory=Manifest)
    train: Sequence[TrainRow] = ()
    held_out: Sequence[EvalRow] = ()
    samples: Sequence[Sample] = ()
    events: Sequence[Event] = ()
    health: HealthRecord = field(default_factory=HealthRecord)
    lineage: Sequence[Ancestor] = ()
    """Of a fork: the runs that it goes on from."""
    phases: Sequence[PhasesRow] = ()
    surprise: Sequence[Surprise] = ()
    anchors: Sequence[Anchor] = ()
    tuning: Tuning | None = None
    """Of a run of fine-tuning: what was taught, and below it the first examples and what was looked at on the way."""
    examples: Sequence[ShownExample] = ()
    answers: Sequence[AnswersRow] = ()
    preferences: Sequence[PreferenceRow] = ()
    unused: Sequence[str] = ()
    """What of the folder is not as the run wrote it, in words; nothing of it is in the figures."""

    @property
    def looks(self) -> Sequence[EvalRow]:
        """The looks on the way: of equal text each, which the figure of the end is not."""
        return [row for row in self.held_out if not row.final]

    @property
    def bits_per_byte(self) -> float | None:
        """Bits per held-out byte at the end, or at the last look of an unfinished run."""
        return _first(*(row.val_bits_per_byte for row in reversed(self.held_out)))

    @property
    def held_out_loss(self) -> float | None:
        """Nats per held-out token, as late as `bits_per_byte`."""
        return _first(*(row.val_loss for row in reversed(self.held_out)))

    @property
    def baselines(self) -> Baselines:
        """Bits per byte of the baselines; empty while the run has not measured them."""
        return self.summary.baselines or Baselines()

    @property
    def last(self) -> TrainRow:
        """The last logged step."""
        return self.train[-1] if self.train else TrainRow(0)


def read_facts(run: RunFolder) -> Facts:
    """The facts of a finished, interrupted or running run."""
    start, manifest, summary = read_start(run), read_manifest(run), read_summary(run)
    return Facts(
        run=run,
        status=_status(run, summary),
        summary=summary,
        machine=start.machine or Machine(),
        plan=start.plan or Plan(),
        tokenizer=start.tokenizer or TokenizerFacts(),
        # The run's own has all that the manifest's has, and more.
        data=start.data or manifest.report or DataReport(),
        manifest=manifest,
        train=thinned(rows_of(run.metrics, TrainRow), MOST_ROWS),
        held_out=with_the_end(thinned(rows_of(run.metrics, EvalRow), MOST_ROWS), summary),
        samples=some_rounds(rows_of(run.samples, Sample), MOST_ROUNDS),
        events=last_events(run, MOST_EVENTS),
        health=HealthRecord.of_rows(read_rows(run.health)),
        lineage=start.lineage,
        phases=list(islice(rows_of(run.phases, PhasesRow), MOST_ROWS)),
        surprise=list(islice(rows_of(run.surprise, Surprise), MOST_STRETCHES)),
        anchors=read_anchors(run),
        tuning=read_tuning(run),
        examples=list(islice(rows_of(run.examples, ShownExample), MOST_EXAMPLES)),
        answers=list(islice(rows_of(run.metrics, AnswersRow), MOST_ROWS)),
        preferences=list(islice(rows_of(run.metrics, PreferenceRow), MOST_ROWS)),
        unused=unused_parts(run),
    )


def unused_parts(run: RunFolder) -> list[str]:
    """What of the run's small files and journals is not as the run wrote it, and so not used; each in words."""
    lines = (journal_lines(path).wrong for path in run.journals)
    ends = lost_ends(run, read_summary(run).row()["journals"], run.summary.name)
    return [*unsealed_files(run), *(told for told in lines if told), *ends]


def held_out_rows(run: RunFolder) -> list[EvalRow]:
    """The looks at held-out text in their order, and what the run ended with; see `with_the_end`."""
    return with_the_end(list(rows_of(run.metrics, EvalRow)), read_summary(run))


def read_anchors(run: RunFolder) -> list[Anchor]:
    """The last figure of each other model that was measured on the run's held-out text, the largest first."""
    last = {row.name: row for row in rows_of(run.anchors, Anchor)}
    return sorted(last.values(), key=lambda row: -row.bits_per_byte)


def with_the_end(rows: Sequence[EvalRow], summary: Summary) -> list[EvalRow]:
    """The looks, and behind those of a finished run the figure that it ended with: one figure for one thing."""
    looks = [row for row in rows if not row.final]
    end = EvalRow(
        step=summary.step or 0,
        tokens=summary.tokens or 0,
        seconds=summary.seconds or 0.0,
        val_loss=summary.val_loss,
        val_bits_per_byte=summary.val_bits_per_byte,
        final=True,
    )
    if summary.status != "finished" or end.val_bits_per_byte is None:
        return looks
    return [*looks, end]


def last_events(run: RunFolder, most: int) -> list[Event]:
    """The last events, the oldest first; only the end of the file is read."""
    found = (Event.of(row) for row in islice(rows_from_end(run.events), most))
    return [event for event in found if event is not None][::-1]


def thinned(rows: Iterable[Row], most: int) -> list[Row]:
    """The rows as they are, up to `most`; of more the first and the last as they are, and between them means.

    A row is the mean of so many neighbours (a power of two), so that the memory stays that of 2 x `most` rows.
    """
    source = iter(rows)
    kept: list[Row] = list(islice(source, 1))
    waiting: list[Row] = []
    last: Row | None = None
    together = 1
    for row in source:
        if last is not None:
            waiting.append(last)
        last = row
        if len(waiting) == together:
            kept.append(_mean_row(waiting))
            waiting = []
        if len(kept) > most:
            kept[1:] = [_mean_row(kept[place : place + 2]) for place in range(1, len(kept), 2)]
            together *= 2
    if waiting:
        kept.append(_mean_row(waiting))
    if last is not None:
        kept.append(last)
    return kept


def some_rounds(rows: Iterable[Sample], most: int) -> list[Sample]:
    """The rows of up to `most` rounds of samples; of more the first, the last, and some evenly spread between them.

    The memory is that of so many rounds.
    """
    kept: list[list[Sample]] = []
    apart, last = 1, list[Sample]()
    for number, (_, group) in enumerate(groupby(rows, key=lambda row: row.step)):
        last = list(group)
        if number % apart == 0:
            kept.append(last)
        if len(kept) > most:
            kept, apart = kept[::2], 2 * apart
    if kept and kept[-1] is not last:
        kept.append(last)
    return [row for group in kept for row in group]


def _mean_row(rows: Sequence[Row]) -> Row:
    """Means of the numbers, without what is missing; step and tokens are whole."""
    if len(rows) == 1:
        return rows[0]
    columns = {one.name: [getattr(row, one.name) for row in rows] for one in fields(rows[-1])}
    # What is no number (losses by place, by source) stays that of the last row.
    known = {name: [one for one in column if type(one) in (int, float)] for name, column in columns.items()}
    means = {name: fmean(values) for name, values in known.items() if values}
    mean: dict[str, Any] = {**means, "step": round(means["step"]), "tokens": round(means["tokens"])}
    return replace(rows[-1], **mean)


def _status(run: RunFolder, summary: Summary) -> str:
    """Who goes on with a run that was interrupted leaves its summary; who has finished one may still hold its lock."""
    if summary.status != "finished" and is_running(run):
        return "running"
    return summary.status or "unfinished"


def _first(*values: float | None) -> float | None:
    return next((value for value in values if value is not None), None)
