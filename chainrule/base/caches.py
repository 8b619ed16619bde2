"""The caches of the processor, as Linux tells them."""

from dataclasses import dataclass
from pathlib import Path

from chainrule.base.told import told

UNITS = {"K": 2**10, "M": 2**20, "G": 2**30}


@dataclass(frozen=True)
class CacheFound:
    """A cache of one processor: its level, what it holds (data, instruction, unified), bytes, who shares it."""

    level: int
    kind: str
    size_bytes: int
    shared_by: str


def processor_caches(root: Path = Path("/")) -> tuple[CacheFound, ...]:
    """Those of the first processor, level by level; none where the system does not tell (macOS, Windows)."""
    found = []
    for folder in sorted((root / "sys/devices/system/cpu/cpu0/cache").glob("index*")):
        level, size = told(folder / "level").strip(), told(folder / "size").strip()
        if level.isdigit() and size[:-1].isdigit() and size[-1] in UNITS:
            kind, shared = told(folder / "type").strip().lower(), told(folder / "shared_cpu_list").strip()
            found.append(CacheFound(int(level), kind, int(size[:-1]) * UNITS[size[-1]], shared))
    return tuple(found)
