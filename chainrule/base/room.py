"""Room on a disk: how much there is, and whether it suffices for what is to be written, said before the first byte."""

import errno
import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from chainrule.base.errors import DiskError
from chainrule.base.units import bytes_text

if sys.platform != "win32":
    import resource

# Stays free whatever is written: a run whose disk is full to the last byte cannot even say so in its journal, whose
# rows are some 300 bytes a step.
FLOOR_BYTES = 4 << 20
# The files that a checkpoint or a preparation has at once, and the journals.
FLOOR_FILES = 16
INODES = "the file system holds as many files as it can (its inodes are used up); remove some files, bytes are left"


def require_room(place: Path, needed: int, purpose: str, remedy: str) -> None:
    """Raises DiskError unless the disk of `place` has room for `needed` bytes, and FLOOR_BYTES stay free beside them.

    `purpose` goes on from "are needed for", `remedy` is the sentence that says what to do. The error's cause has the
    number that the system would give, so that who can wait for room knows that it is room that is lacking.
    """
    free = free_bytes(place)
    if free < needed + FLOOR_BYTES:
        raise DiskError(
            f"the disk of {place} has {bytes_text(free)} free, and {bytes_text(needed + FLOOR_BYTES)} are needed for "
            f"{purpose}, of them {bytes_text(FLOOR_BYTES)} that stay free for the journals. {remedy}"
        ) from OSError(errno.ENOSPC, "known before the first byte")
    left = free_files(place)
    if left is not None and left < FLOOR_FILES:
        raise DiskError(
            f"the file system of {place} can hold {left} more files, and up to {FLOOR_FILES} are needed for {purpose}: "
            f"its inodes are used up, while {bytes_text(free)} are free. Remove some files"
        ) from OSError(errno.ENOSPC, "known before the first byte")


def free_bytes(path: Path) -> int:
    """Free bytes on the file system of `path` or of its nearest existing parent."""
    return shutil.disk_usage(_existing(path)).free


def free_files(path: Path) -> int | None:
    """How many more files the file system of `path` can hold; None where it counts none (btrfs, FAT, Windows)."""
    if not hasattr(os, "statvfs"):
        return None
    state = os.statvfs(_existing(path))
    return state.f_favail if state.f_files > 0 else None


def most_file_bytes() -> int | None:
    """Bytes that this process may write into one file (`ulimit -f`); None without a limit, as on Windows."""
    if sys.platform == "win32":
        return None
    most = resource.getrlimit(resource.RLIMIT_FSIZE)[0]
    return None if most == resource.RLIM_INFINITY else most


def folder_bytes(folder: Path) -> int:
    """Bytes of all files below `folder`, each hard link counted once; what goes while it is counted counts nothing."""
    found = {}
    for place, _, names in os.walk(folder):
        for name in names:
            with suppress(OSError):
                state = Path(place, name).stat()
                found[state.st_dev, state.st_ino] = state.st_size
    return sum(found.values())


def _existing(path: Path) -> Path:
    return next(_there(path), Path.cwd())


def _there(path: Path) -> Iterator[Path]:
    """Itself and its parents, nearest first, as far as they are there; a name that is too long is not."""
    for folder in (path, *path.absolute().parents):
        with suppress(OSError):
            if folder.exists():
                yield folder
