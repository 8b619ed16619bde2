"""The processor cores that this process may use."""

import os
from pathlib import Path


def usable_cores() -> int:
    """Processors that this process may use: its affinity, and the container's quota where there is one."""
    count = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quota = Path("/sys/fs/cgroup/cpu.max")
    if quota.is_file():
        limit, period = quota.read_text(encoding="utf-8").split()
        if limit != "max":
            count = min(count, max(1, int(limit) // int(period)))
    return min(count, physical_cores() or count)


def physical_cores() -> int | None:
    """Cores of the whole machine where /proc says so; hyper-threads add nothing to matrix products."""
    info = Path("/proc/cpuinfo")
    if not info.is_file():
        return None
    seen = set()
    for processor in info.read_text(encoding="utf-8").split("\n\n"):
        fields = dict(line.split("\t", 1) for line in processor.splitlines() if "\t" in line)
        clean = {key.strip(): value.strip(": \t") for key, value in fields.items()}
        if "core id" in clean:
            seen.add((clean.get("physical id"), clean["core id"]))
    return len(seen) or None
