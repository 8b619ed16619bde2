"""Removing runs: what that would free, and a run that is gone from one instant to the next."""

import os
import shutil
from contextlib import suppress
from pathlib import Path

from chainrule.base import RunError, disk_faults, temporary_name
from chainrule.run.folder import RunFolder
from chainrule.run.lock import is_running, run_lock


def freed_bytes(run: RunFolder) -> int:
    """Bytes that come free with the run; what a cache or another run has links to stays on the disk."""
    freed, links = 0, dict[tuple[int, int], list[int]]()
    for place, _, names in os.walk(run.path):
        for name in names:
            with suppress(OSError):
                state = Path(place, name).lstat()
                links.setdefault((state.st_dev, state.st_ino), [state.st_nlink, state.st_size, 0])[2] += 1
    for n_links, size, n_here in links.values():
        freed += size if n_here >= n_links else 0
    return freed


def remove_run(run: RunFolder) -> None:
    """Removes the run's folder with everything in it; raises RunError while a process writes to it.

    It loses its name first, so that a kill on the way leaves no half run under it.
    """
    if is_running(run):
        raise RunError(f"{run.path} is being trained at the moment; stop it first (Ctrl-C where it runs)")
    with run_lock(run), disk_faults(run.path, "removing"):
        doomed = temporary_name(run.path)
        run.path.rename(doomed)
    with disk_faults(doomed, "removing"):
        shutil.rmtree(doomed)
