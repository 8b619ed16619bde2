"""What macOS tells of itself, which has no /proc: the answers of its own commands, as text."""

import subprocess
from functools import cache

PAGE_BYTES = 16384


@cache
def asked(*command: str) -> str:
    """What a command of the system prints, asked once; nothing where there is no such command."""
    try:
        done = subprocess.run(command, capture_output=True, check=False, timeout=5)  # noqa: S603 (names of our own)
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout.decode("utf-8", errors="replace")


def sysctl_values(text: str) -> dict[str, str]:
    """The rows `name: value` that `sysctl` prints."""
    rows = (line.partition(": ") for line in text.splitlines())
    return {name.strip(): value.strip() for name, colon, value in rows if colon}


def free_by_vm_stat(text: str) -> int | None:
    """Bytes that can be had at once: free pages, and those whose content can be dropped; None without text."""
    first, *rows = text.splitlines() or [""]
    _, _, size = first.partition("page size of ")
    page = int(size.split()[0]) if size and size.split()[0].isdigit() else PAGE_BYTES
    counts = {name: count.strip(" .") for name, _, count in (row.partition(":") for row in rows)}
    wanted = ("Pages free", "Pages inactive", "Pages speculative", "Pages purgeable")
    found = [int(counts[name]) for name in wanted if counts.get(name, "").isdigit()]
    return page * sum(found) if found else None
