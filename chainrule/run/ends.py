"""Where the journals of a run ended when something was written that stands behind them: rows cut off are missed."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from chainrule.run.folder import RunFolder
from chainrule.run.journal import end_of, holds
from chainrule.run.line import NOTHING, Seal
from chainrule.run.record import Record


@dataclass(frozen=True)
class JournalEnd(Record):
    """The last row of a journal, by its number and checksum; every later row stands behind it."""

    number: int
    crc: str


def journal_ends(paths: Iterable[Path]) -> dict[str, dict[str, Any]]:
    """The last row of each journal that has any, by the file's name, as JSON holds it."""
    ends = {path.name: end_of(path) for path in paths}
    return {name: {"number": end.number, "crc": end.crc} for name, end in ends.items() if end.number}


def looked_back_on(run: RunFolder) -> tuple[Path, ...]:
    """The journals that a checkpoint notes the ends of: those that only grow, but for being cut back to it."""
    return (run.metrics, run.health, run.phases, run.samples, run.events)


def lost_ends(run: RunFolder, ends: object, noted_by: str) -> list[str]:
    """What is no longer in the journals though `noted_by` was written behind it, each in words."""
    found = {name: JournalEnd.of(end) for name, end in ends.items()} if isinstance(ends, Mapping) else {}
    paths = {path.name: path for path in run.journals}
    known = ((paths[name], end) for name, end in found.items() if end is not None and name in paths)
    return [
        f"{path.name} lacks row {end.number:,} as it was when {noted_by} was written: rows were removed at its end, or "
        "it is another run's"
        for path, end in known
        if not holds(path, Seal(end.number, NOTHING.crc, end.crc))
    ]
