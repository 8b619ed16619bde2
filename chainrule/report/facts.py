"""What a run folder says about its run: read from files alone, and content with whatever is missing."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from chainrule.lens import HealthRecord
from chainrule.run import RunFolder, is_running, read_record, read_rows

Row = Mapping[str, Any]
MOST_EVENTS = 200


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
    metrics = list(read_rows(run.metrics))
    record = read_record(run.machine)
    manifest = read_record(run.data / "manifest.json")
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
        train=[row for row in metrics if row.get("kind") == "train"],
        held_out=[row for row in metrics if row.get("kind") == "eval"],
        samples=[row for row in read_rows(run.samples) if "step" in row and "text" in row],
        events=list(read_rows(run.events))[-MOST_EVENTS:],
        health=HealthRecord.of_rows(read_rows(run.health)),
    )


def _mapping(value: Any) -> Row:
    return value if isinstance(value, Mapping) else {}


def _figure(final: Any, looks: Sequence[Row], key: str) -> float | None:
    seen = [row[key] for row in looks if row.get(key) is not None]
    value = final if final is not None else (seen[-1] if seen else None)
    return None if value is None else float(value)
