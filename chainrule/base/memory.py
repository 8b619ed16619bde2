"""The memory that this process may use."""

import os
from pathlib import Path

ASSUMED_MEMORY = 8 * 2**30  # where the system does not tell


def usable_memory() -> int:
    """Bytes that this process may take: the machine's, or the container's limit where that is lower."""
    pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") if hasattr(os, "sysconf") else ASSUMED_MEMORY
    limit = Path("/sys/fs/cgroup/memory.max")
    if limit.is_file() and (text := limit.read_text(encoding="utf-8").strip()).isdigit():
        return min(pages, int(text))
    return pages
