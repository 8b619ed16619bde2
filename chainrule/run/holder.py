"""What the process that writes to a run holds of the memory, as the system tells."""

import platform
from pathlib import Path

from chainrule.run.folder import RunFolder
from chainrule.run.lock import is_running
from chainrule.run.sound import json_value


def held_bytes(run: RunFolder) -> int | None:
    """Resident memory of the process that trains it on this machine; None where it does not, or nobody tells.

    Only Linux tells it of any process without a package.
    """
    if not is_running(run):
        return None
    try:
        who = json_value((run.path / "lock.json").read_bytes())
        if who["host"] != platform.node():
            return None
        lines = Path(f"/proc/{int(who['pid'])}/status").read_text("utf-8").splitlines()
        return next(1024 * int(line.split()[1]) for line in lines if line.startswith("VmRSS:"))
    except (OSError, ValueError, KeyError, TypeError, IndexError, StopIteration):
        return None
