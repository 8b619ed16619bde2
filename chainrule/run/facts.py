"""What a run folder says about its run: read from files alone, and content with whatever is missing."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby, islice
from typing import Any

from chainrule.run.folder import RunFolder
from chainrule.run.health_record import HealthRecord
from chainrule.run.journal import read_rows, rows_from_end
from chainrule.run.lock import is_running
from chainrule.run.sound import read_record

Row = Mapping[str, Any]
MOST_EVENTS = 200
# Rows that are held of a journal of any length; the page draws 1,200 points.
MOST_ROWS = 5000
# Rounds of samples that are held; the page shows so many of them at the most.
MOST_ROUNDS = 200


@dataclass(frozen=True)
class Facts:
    """Everything that the page shows, but for the search for copies."""

    run: RunFolder
    status: str
    summary: Row
    machine: Row
    plan: Row
    tokenizer: Row
    data: Row
    manifest: Row
    train: Sequence[Row]
    held_out: Sequence[Row]
    samples: Sequence[Row]
    events: Sequence[Row]
    health: HealthRecord = field(default_factory=HealthRecord)

    @property
    def bits_per_byte(self) -> float | None:
        """Bits per held-out byte at the end, or at the last look of an unfinished run."""
        return _figure(self.summary.get("val_bits_per_byte"), self.held_out, "val_bits_per_byte")

    @property
    def held_out_loss(self) -> float | None:
        """Nats per held-out token, as late as `bits_per_byte`."""
        return _figure(self.summary.get("val_loss"), self.held_out, "val_loss")

    @property
    def baselines(self) -> Row:
        """Bits per byte of the baselines; empty while the run has not measured them."""
        return _mapping(self.summary.get("baselines"))

    @property
    def last(self) -> Row:
        """The last logged step."""
        return self.train[-1] if self.train else {}


def read_facts(run: RunFolder) -> Facts:
    """The facts of a finished, interrupted or running run."""
    record = read_record(run.machine)
    manifest = read_record(run.manifest)
    summary = read_record(run.summary)
    if not isinstance(summary.get("python"), dict):
        summary.pop("python", None)
    return Facts(
        run=run,
        status=str(summary.get("status") or ("running" if is_running(run) else "unfinished")),
        summary=summary,
        machine=_mapping(record.get("machine")),
        plan=_mapping(record.get("plan")),
        tokenizer=_mapping(record.get("tokenizer")),
        data={**_mapping(manifest.get("report")), **_mapping(record.get("data"))},
        manifest=manifest,
        train=thinned(_placed(read_rows(run.metrics, "train")), MOST_ROWS),
        held_out=thinned(_placed(read_rows(run.metrics, "eval")), MOST_ROWS),
        samples=some_rounds((row for row in _placed(read_rows(run.samples)) if "text" in row), MOST_ROUNDS),
        events=list(islice(rows_from_end(run.events), MOST_EVENTS))[::-1],
        health=HealthRecord.of_rows(read_rows(run.health)),
    )


def _placed(rows: Iterable[Row]) -> Iterable[Row]:
    return (row for row in rows if "step" in row)


def thinned(rows: Iterable[Row], most: int) -> list[Row]:
    """The rows as they are, up to `most`; of more the first and the last as they are, and between them means.

    A row is the mean of so many neighbours (a power of two), so that the memory stays that of 2 x `most` rows.
    """
    source = iter(rows)
    kept, waiting, together = list(islice(source, 1)), [], 1
    last: Row | None = None
    for row in source:
        if last is not None:
            waiting.append(last)
        last = row
        if len(waiting) == together:
            kept.append(_mean_row(waiting))
            waiting = []
        if len(kept) > most:
            kept = [kept[0], *(_mean_row(kept[place : place + 2]) for place in range(1, len(kept), 2))]
            together *= 2
    return [*kept, *([_mean_row(waiting)] if waiting else []), *([] if last is None else [last])]


def some_rounds(rows: Iterable[Row], most: int) -> list[Row]:
    """The rows of up to `most` rounds of samples; of more the first, the last, and some evenly spread between them.

    The memory is that of so many rounds.
    """
    kept: list[list[Row]] = []
    apart, last = 1, list[Row]()
    for number, (_, group) in enumerate(groupby(rows, key=lambda row: row["step"])):
        last = list(group)
        if number % apart == 0:
            kept.append(last)
        if len(kept) > most:
            kept, apart = kept[::2], 2 * apart
    if kept and kept[-1] is not last:
        kept.append(last)
    return [row for group in kept for row in group]


def _mean_row(rows: Sequence[Row]) -> Row:
    """Means of the numbers, without what is missing; all else as in the last row."""
    if len(rows) == 1:
        return rows[0]
    known = {key: [row[key] for row in rows if isinstance(row.get(key), int | float)] for key in rows[-1]}
    means = {key: sum(values) / len(values) for key, values in known.items() if values}
    return {**rows[-1], **means, "step": round(means.get("step", 0))}


def _mapping(value: Any) -> Row:
    return value if isinstance(value, Mapping) else {}


def _figure(final: Any, looks: Sequence[Row], key: str) -> float | None:
    seen = [row[key] for row in looks if row.get(key) is not None]
    value = final if final is not None else (seen[-1] if seen else None)
    return None if value is None else float(value)
