"""A run folder has one writer."""

import json
import os
import platform
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from chainrule.base import RunError, disk_faults
from chainrule.run.folder import RunFolder


@contextmanager
def run_lock(run: RunFolder) -> Iterator[None]:
    """Holds the folder's lock inside the block; raises RunError naming the holder when another process has it.

    The operating system frees the lock when its holder dies, however it dies.
    """
    holder = run.path / "lock.json"
    lock = FileLock(run.lock, timeout=0)
    with disk_faults(run.lock, "locking"):
        try:
            lock.acquire()
        except Timeout:
            raise RunError(
                f"{run.path} is in use by {_describe(holder)}; wait for it, or give the new run another name"
            ) from None
    try:
        with disk_faults(holder, "writing"):
            holder.write_text(
                json.dumps({"pid": os.getpid(), "host": platform.node(), "since": time.strftime("%F %T")})
            )
        yield
    finally:
        holder.unlink(missing_ok=True)
        lock.release()


def is_running(run: RunFolder) -> bool:
    """Whether the process that last took the lock still lives; on another host its mark alone says so."""
    try:
        who = json.loads((run.path / "lock.json").read_text())
        if who["host"] != platform.node() or sys.platform == "win32":
            return True
        os.kill(int(who["pid"]), 0)  # signal 0 reaches nobody; it only asks
    except PermissionError:
        return True  # it lives, as another user
    except (OSError, ValueError, KeyError, TypeError):
        return False
    return True


def _describe(holder: Path) -> str:
    try:
        who = json.loads(holder.read_text())
        return f"process {who['pid']} on {who['host']} since {who['since']}"
    except (OSError, ValueError, KeyError):
        return "another process"
