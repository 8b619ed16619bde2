"""The processor cores that this process may use: affinity, hyper-threads, slow cores and quotas counted."""

import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from chainrule.base import macos, windows
from chainrule.base.cgroup import cpu_quota
from chainrule.base.told import told

# A core that does less than this share of the quickest is a slow one (efficiency cores do a half to two thirds).
FAST_SHARE = 0.85


@dataclass(frozen=True)
class Cores:
    """What this process may use: `physical` cores, of which `fast` are of the quickest kind, and their hyper-threads.

    `quota` is the processors' worth of time that a container allows, None without one.
    """

    logical: int
    physical: int
    fast: int
    quota: float | None = None

    @property
    def usable(self) -> int:
        """Cores that can compute at once: hyper-threads add nothing to matrix products, and no quota is exceeded."""
        return self.physical if self.quota is None else max(1, min(self.physical, round(self.quota)))


def usable_cores() -> int:
    """Cores that this process may compute on at once, at least one; hyper-threads are not counted."""
    return found_cores().usable


def found_cores() -> Cores:
    """The cores of this machine, as far as this process may use them."""
    if sys.platform == "darwin":
        return of_sysctl(macos.sysctl_values(macos.asked("sysctl", "hw")))
    if sys.platform == "win32":
        return of_records(windows.core_records(), windows.allowed_mask())
    # Android's Python and some BSDs know no affinity; all processors are allowed there.
    allowed = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else range(os.cpu_count() or 1)
    return of_sysfs(Path("/"), allowed)


def of_sysfs(root: Path, allowed: Sequence[int]) -> Cores:
    """What Linux says of the processors `allowed`: /sys where it is mounted, else /proc/cpuinfo, else their number."""
    known = _cpuinfo_cores(root)
    speeds: dict[str, float] = {}
    for number in allowed:
        folder = root / f"sys/devices/system/cpu/cpu{number}"
        siblings = told(folder / "topology/thread_siblings_list") or told(folder / "topology/core_cpus_list")
        core = siblings or known.get(number, f"only {number}")
        speeds[core] = max(speeds.get(core, 0.0), _speed(root, folder, number))
    return _cores(len(allowed), list(speeds.values()), cpu_quota(root))


def of_sysctl(values: Mapping[str, str]) -> Cores:
    """What macOS says; its performance cores are level 0."""
    logical = int(values.get("hw.logicalcpu", os.cpu_count() or 1))
    physical = int(values.get("hw.physicalcpu", logical))
    return Cores(logical, physical, min(physical, int(values.get("hw.perflevel0.physicalcpu", physical))))


def of_records(records: Sequence[windows.CoreRecord], allowed: int) -> Cores:
    """What Windows says; a higher efficiency class is a quicker core. `allowed` is the first group's affinity."""
    mine = [r for r in records if r.group or r.mask & allowed] or list(records)
    if not mine:
        return _cores(os.cpu_count() or 1, [1.0] * (os.cpu_count() or 1), None)
    logical = sum((record.mask if record.group else record.mask & allowed).bit_count() for record in mine)
    fastest = max(record.efficiency for record in mine)
    return Cores(max(1, logical), len(mine), sum(record.efficiency == fastest for record in mine))


def _cores(logical: int, speeds: Sequence[float], quota: float | None) -> Cores:
    fast = sum(speed >= FAST_SHARE * max(speeds) for speed in speeds)
    return Cores(max(1, logical), max(1, len(speeds)), max(1, fast), quota)


def _speed(root: Path, folder: Path, number: int) -> float:
    """How quick a processor is beside its neighbours: Intel's two kinds by name, ARM's by capacity."""
    if number in _listed(told(root / "sys/devices/cpu_atom/cpus")):
        return 0.5
    capacity = told(folder / "cpu_capacity")
    return float(capacity) / 1024 if capacity.isdigit() else 1.0


def _listed(text: str) -> set[int]:
    """The numbers of a list such as 0-3,8."""
    found: set[int] = set()
    for part in filter(None, text.split(",")):
        first, _, last = part.partition("-")
        found |= set(range(int(first), int(last or first) + 1))
    return found


def _cpuinfo_cores(root: Path) -> dict[int, str]:
    """The core of each processor, by /proc/cpuinfo, which tells it on x86 alone."""
    found = {}
    for block in told(root / "proc/cpuinfo").split("\n\n"):
        fields = {key.strip(): value.strip() for key, _, value in (line.partition(":") for line in block.splitlines())}
        if fields.get("processor", "").isdigit() and "core id" in fields:
            found[int(fields["processor"])] = f"{fields.get('physical id')}/{fields['core id']}"
    return found
