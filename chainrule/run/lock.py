"""A run folder has one writer."""

import errno
import os
import platform
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import BaseFileLock, FileLock, SoftFileLock, Timeout

from chainrule.base import RunError, disk_faults, write_json
from chainrule.run.folder import RunFolder
from chainrule.run.sound import json_value

# What network and FUSE mounts answer when they know no locks.
NO_LOCKS = frozenset({errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EINVAL})

WAIT_SECONDS = 0.5


@contextmanager
def run_lock(run: RunFolder) -> Iterator[None]:
    """Holds the folder's lock inside the block; raises RunError naming the holder when another process has it.

    The operating system frees the lock when its holder dies, however it dies. On a file system without locks a file
    that is there or not takes its place, which can outlive a killed holder on another machine.
    """
    holder = run.path / "lock.json"
    with disk_faults(run.lock, "locking"):
        lock = _acquired(run, holder)
    try:
        write_json(holder, {"pid": os.getpid(), "host": platform.node(), "since": time.strftime("%F %T")})
        yield
    finally:
        # Of a disk that is read-only or gone by now nothing can be removed, and what is raised tells that already.
        with suppress(OSError):
            holder.unlink(missing_ok=True)
        lock.release()


@contextmanager
def turn_lock(path: Path, on_wait: Callable[[], None]) -> Iterator[None]:
    """Holds the lock file `path` inside the block, after waiting for whoever has it; `on_wait` is called meanwhile.

    Raises OSError where the file system knows no locks: a file in a lock's place could be waited for for ever.
    """
    lock = FileLock(path, timeout=0)
    while True:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("error")
                lock.acquire()
            break
        except Timeout:
            on_wait()
            time.sleep(WAIT_SECONDS)
        except (UserWarning, NotImplementedError) as fault:
            raise OSError(errno.ENOLCK, "the file system has no locks", str(path)) from fault
    try:
        yield
    finally:
        lock.release()


def _acquired(run: RunFolder, holder: Path) -> BaseFileLock:
    lock: BaseFileLock = FileLock(run.lock, timeout=0)
    in_use = f"{run.path} is in use by {_describe(holder)}; wait for it, or give the new run another name"
    try:
        with warnings.catch_warnings():
            # It warns before it falls back by itself, which it does for one of the answers that a mount may give.
            warnings.simplefilter("ignore")
            lock.acquire()
    except Timeout:
        raise RunError(in_use) from None
    except (OSError, NotImplementedError) as fault:
        if isinstance(fault, OSError) and fault.errno not in NO_LOCKS:
            raise
        lock = SoftFileLock(run.lock.with_suffix(".file"), timeout=0)
        try:
            lock.acquire()
        except Timeout:
            raise RunError(
                f"{in_use}. This file system has no locks: if that process is gone, remove {lock.lock_file}"
            ) from None
    return lock


def is_running(run: RunFolder) -> bool:
    """Whether the process that last took the lock still lives; on another host its mark alone says so."""
    try:
        who = json_value((run.path / "lock.json").read_bytes())
        if who["host"] != platform.node() or sys.platform == "win32":
            return True
        if not 0 < int(who["pid"]) < 2**31:
            return False
        os.kill(int(who["pid"]), 0)  # signal 0 reaches nobody; it only asks
    except PermissionError:
        return True  # it lives, as another user
    except (OSError, ValueError, KeyError, TypeError):
        return False
    return True


def _describe(holder: Path) -> str:
    try:
        who = json_value(holder.read_bytes())
        return f"process {who['pid']} on {who['host']} since {who['since']}"
    except (OSError, ValueError, KeyError, TypeError):
        return "another process"
