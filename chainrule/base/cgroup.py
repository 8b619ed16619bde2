"""On Linux: what the control groups of this process leave it of the processor and the memory.

A container, a systemd slice or a SLURM step is a group in a tree, and every group on the way to the root limits what is
below it. The kernel says where this process stands (/proc/self/cgroup) and where the trees are to be seen
(/proc/self/mountinfo); there may be one tree for everything (version 2), one for each resource (version 1), or both.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from chainrule.base.told import told

# Version 1 writes "no limit" as the largest number of whole pages.
UNLIMITED = 2**60
# Where each version says how much is used, and how much of that are file pages which nobody used lately.
USED = {1: ("memory.usage_in_bytes", "total_inactive_file"), 2: ("memory.current", "inactive_file")}


@dataclass(frozen=True)
class Group:
    """A folder of a control group that holds this process, and the version of its files."""

    folder: Path
    version: int

    def number(self, name: str) -> int | None:
        """The number in one of its files; None when it is not there or says `max`."""
        try:
            return int(told(self.folder / name))
        except ValueError:
            return None

    def stat(self, key: str) -> int:
        """A row of memory.stat in bytes; 0 when it is not there."""
        rows = dict(line.rpartition(" ")[::2] for line in told(self.folder / "memory.stat").splitlines())
        value = rows.get(key, "")
        return int(value) if value.isdigit() else 0


def cpu_quota(root: Path = Path("/")) -> float | None:
    """Processors' worth of time that the groups allow, the lowest limit on the way; None without one."""
    shares = [share for group in groups("cpu", root) if (share := _processors(group)) is not None]
    return min(shares, default=None)


def memory_limit(root: Path = Path("/")) -> int | None:
    """Bytes that the groups allow in all, the lowest limit on the way; None without one."""
    limits = [limit for group in groups("memory", root) if (limit := _limit(group)) is not None]
    return min(limits, default=None)


def memory_room(root: Path = Path("/")) -> int | None:
    """Bytes that the groups leave: limit less what is used and cannot be dropped, the least on the way; None without.

    File pages that nobody used lately count as free: the kernel drops them before it refuses memory.
    """
    rooms = []
    for group in groups("memory", root):
        if (limit := _limit(group)) is None:
            continue
        name, key = (
            ("memory.current", "inactive_file")
            if group.version == 2
            else ("memory.usage_in_bytes", "total_inactive_file")
        )
        rooms.append(max(0, limit - max(0, (group.number(name) or 0) - group.stat(key))))
    return min(rooms, default=None)


def groups(controller: str, root: Path = Path("/")) -> Iterator[Group]:
    """The groups that hold this process and may limit `controller`, each from its own folder up to its tree's top."""
    paths = _paths(told(root / "proc/self/cgroup"))
    for version, names, top, mount in _mounts(told(root / "proc/self/mountinfo")):
        name = "" if version == 2 else controller
        if name not in paths or (version == 1 and controller not in names):
            continue
        folder, place = PurePosixPath(mount), PurePosixPath(paths[name])
        # Inside a container the tree may be mounted from the container's own group down (top), or the path may lie
        # outside of what can be seen (`/../x`): then the top of what is seen is the nearest group there is.
        below = place.relative_to(top) if place.is_relative_to(top) and ".." not in place.parts else PurePosixPath()
        for depth in range(len(below.parts), -1, -1):
            yield Group(root / str(folder.joinpath(*below.parts[:depth])).lstrip("/"), version)


def _paths(text: str) -> dict[str, str]:
    """The path of this process in each tree, by controller; version 2 has the empty name."""
    found: dict[str, str] = {}
    for line in text.splitlines():
        _, _, rest = line.partition(":")
        names, _, path = rest.partition(":")
        found |= dict.fromkeys(names.split(","), path or "/")
    return found


def _mounts(text: str) -> Iterator[tuple[int, set[str], str, str]]:
    """Version, controllers, top and place of each tree that is mounted."""
    for line in text.splitlines():
        before, _, after = line.partition(" - ")
        fields, kind = before.split(), after.split()
        if len(fields) >= 5 and kind and kind[0] in ("cgroup", "cgroup2"):
            yield 1 + (kind[0] == "cgroup2"), set(kind[-1].split(",")), fields[3], fields[4]


def _processors(group: Group) -> float | None:
    if group.version == 2:
        limit, _, period = told(group.folder / "cpu.max").partition(" ")
        return int(limit) / int(period) if limit.isdigit() and period.strip().isdigit() and int(period) else None
    quota, length = group.number("cpu.cfs_quota_us"), group.number("cpu.cfs_period_us")
    return quota / length if quota and quota > 0 and length else None


def _limit(group: Group) -> int | None:
    names = ("memory.max", "memory.high") if group.version == 2 else ("memory.limit_in_bytes",)
    found = [limit for name in names if (limit := group.number(name)) is not None and 0 <= limit < UNLIMITED]
    return min(found, default=None)
