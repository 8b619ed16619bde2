"""Earlier runs that were held against the same text, to be drawn faintly behind this one."""

import math
from dataclasses import dataclass

from chainrule.run import EvalRow, Facts, RunFolder, held_out_rows, list_runs, read_manifest

# Runs that are looked at, the newest first, and that are drawn.
MOST_LOOKED_AT, MOST_DRAWN = 40, 8


@dataclass(frozen=True)
class Earlier:
    """Another run's name and its looks at held-out text."""

    name: str
    looks: list[EvalRow]


def earlier(facts: Facts) -> list[Earlier]:
    """Runs beside this one that were begun before it and hold out as many bytes and documents, the newest first."""
    own = _held_out(facts.run)
    if own is None:
        return []
    found = list[Earlier]()
    for run in _before(facts.run):
        if _held_out(run) == own and (looks := [row for row in held_out_rows(run) if row.val_bits_per_byte]):
            found.append(Earlier(run.name, looks))
        if len(found) == MOST_DRAWN:
            break
    return found


def _before(own: RunFolder) -> list[RunFolder]:
    begun = {run.name: _begun(run) for run in list_runs(own.path.parent)}
    since = begun.get(own.name, math.inf)
    names = sorted((name for name, at in begun.items() if at < since and name != own.name), key=lambda n: -begun[n])
    return [RunFolder(own.path.parent / name) for name in names[:MOST_LOOKED_AT]]


def _begun(run: RunFolder) -> float:
    try:
        return run.config.stat().st_mtime
    except OSError:
        return -math.inf


def _held_out(run: RunFolder) -> tuple[int, int] | None:
    """Bytes and documents that are held out: runs that agree in both were all but surely measured on one text."""
    report = read_manifest(run).report
    n_bytes = report.split_bytes.get("validation") if report else None
    n_documents = report.split_documents.get("validation") if report else None
    return None if n_bytes is None or n_documents is None else (n_bytes, n_documents)
