"""How much other programs want of the processor: what Linux's pressure and its counters of busy time say."""

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from chainrule.base.told import told

# user, nice, system, irq, softirq and steal of a row of /proc/stat; idle and waiting for a disk are not busy.
BUSY_COLUMNS = (1, 2, 3, 6, 7, 8)


@dataclass(frozen=True)
class Pressure:
    """Shares of the time in which some task waited for a processor: of the last 10 and 60 seconds; and in all."""

    last_10: float
    last_60: float
    waited_seconds: float


def cpu_pressure(root: Path = Path("/")) -> Pressure | None:
    """What /proc/pressure/cpu says; None where the system does not tell (before Linux 4.20, macOS, Windows)."""
    for line in told(root / "proc/pressure/cpu").splitlines():
        kind, *pairs = line.split()
        values = dict(pair.partition("=")[::2] for pair in pairs)
        if kind == "some" and {"avg10", "avg60", "total"} <= set(values):
            return Pressure(float(values["avg10"]) / 100, float(values["avg60"]) / 100, int(values["total"]) / 1e6)
    return None


def busy_seconds(allowed: Iterable[int] | None = None, root: Path = Path("/")) -> float | None:
    """Seconds that the processors `allowed` (all that this process may use) have computed since the start, for anyone.

    None where the system does not tell.
    """
    if allowed is None and hasattr(os, "sched_getaffinity"):
        allowed = os.sched_getaffinity(0)
    names = {f"cpu{number}" for number in allowed or ()}
    rows = [line.split() for line in told(root / "proc/stat").splitlines()]
    mine = [row for row in rows if row[:1] and row[0] in names and len(row) > max(BUSY_COLUMNS)]
    if not mine or not hasattr(os, "sysconf"):
        return None
    return sum(int(row[column]) for row in mine for column in BUSY_COLUMNS) / os.sysconf("SC_CLK_TCK")
