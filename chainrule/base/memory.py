"""The memory that this process may use: what is installed, and what of it can still be had."""

import os
import sys
from pathlib import Path

from chainrule.base import macos, windows
from chainrule.base.cgroup import memory_limit, memory_room
from chainrule.base.told import told

if sys.platform != "win32":
    import resource

ASSUMED_MEMORY = 8 * 2**30  # where a system does not tell


def address_space_limit() -> int | None:
    """Bytes of addresses that this process may use (`ulimit -v`); None without a limit, as on Windows."""
    if sys.platform == "win32":
        return None
    most = resource.getrlimit(resource.RLIMIT_AS)[0]
    return None if most == resource.RLIM_INFINITY else most


def usable_memory() -> int:
    """Bytes that this process could take if nothing else ran: what is installed, or a container's limit below it."""
    if sys.platform == "darwin":
        return int(macos.sysctl_values(macos.asked("sysctl", "hw")).get("hw.memsize", ASSUMED_MEMORY))
    if sys.platform == "win32":
        status = windows.memory_status()
        return int(status.total) if status else ASSUMED_MEMORY
    return installed_in(Path("/")) or _pages("SC_PHYS_PAGES") or ASSUMED_MEMORY


def available_memory() -> int:
    """Bytes that this process can take now beside what it has, without pushing another program out."""
    if sys.platform == "darwin":
        return macos.free_by_vm_stat(macos.asked("vm_stat")) or usable_memory()
    if sys.platform == "win32":
        status = windows.memory_status()
        return int(status.available) if status else ASSUMED_MEMORY
    return available_in(Path("/")) or _pages("SC_AVPHYS_PAGES") or usable_memory()


def resident_bytes() -> int | None:
    """Bytes of memory that this process holds now; None where the system does not say it cheaply."""
    fields = told(Path("/proc/self/statm")).split()
    page = _page_bytes()
    return int(fields[1]) * page if len(fields) > 1 and fields[1].isdigit() and page else None


def peak_bytes() -> int | None:
    """Bytes of memory that this process held at most; None where the system does not say.

    Linux's ru_maxrss would count what the process that started this one held, too.
    """
    for line in told(Path("/proc/self/status")).splitlines():
        if line.startswith("VmHWM:"):
            return 1024 * int(line.split()[1])
    if sys.platform == "win32":
        return None
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def installed_in(root: Path) -> int | None:
    """By Linux's files under `root`: the machine's memory, or its control groups' limit where that is lower."""
    return _least(_meminfo(root, "MemTotal"), memory_limit(root))


def available_in(root: Path) -> int | None:
    """By Linux's files under `root`: the kernel's own estimate, or what the control groups leave where that is less."""
    free = _meminfo(root, "MemAvailable")
    if free is None:  # before Linux 3.14
        parts = [part for name in ("MemFree", "Cached") if (part := _meminfo(root, name)) is not None]
        free = sum(parts) if parts else None
    return _least(free, memory_room(root))


def _least(*sizes: int | None) -> int | None:
    return min((size for size in sizes if size is not None), default=None)


def _meminfo(root: Path, name: str) -> int | None:
    for line in told(root / "proc/meminfo").splitlines():
        key, _, rest = line.partition(":")
        if key == name and rest.split()[:1]:
            return 1024 * int(rest.split()[0])
    return None


def _pages(name: str) -> int | None:
    """Bytes of the pages that POSIX counts under this name; None where the system does not count them."""
    page = _page_bytes()
    if page is None or not hasattr(os, "sysconf") or name not in os.sysconf_names:
        return None
    return os.sysconf(name) * page


def _page_bytes() -> int | None:
    return os.sysconf("SC_PAGE_SIZE") if hasattr(os, "sysconf") else None
