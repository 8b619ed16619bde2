"""A file is on the disk wholly or not at all, and a disk that refuses says why."""

import errno
import hashlib
import json
import os
import shutil
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from chainrule.base.errors import DiskError
from chainrule.base.units import bytes_text

REFUSALS = {
    errno.ENOSPC: "the disk is full",
    errno.EDQUOT: "the disk quota is used up",
    errno.EROFS: "the file system is read-only",
    errno.EACCES: "permission was denied",
    errno.EPERM: "the operation is not permitted",
    errno.EFBIG: "the file would be larger than allowed",
    errno.EIO: "the disk reported an input/output error",
}


@contextmanager
def disk_faults(path: Path, doing: str) -> Iterator[None]:
    """Turns the operating system's refusals inside the block into a DiskError: `doing` (a verb phrase) and `path`."""
    try:
        yield
    except OSError as fault:
        if fault.errno not in REFUSALS:
            raise
        free = f" ({bytes_text(free_bytes(path))} free)" if fault.errno == errno.ENOSPC else ""
        raise DiskError(f"{doing} {path}: {REFUSALS[fault.errno]}{free}. What was saved before is intact.") from fault


def free_bytes(path: Path) -> int:
    """Free bytes on the file system of `path` or of its nearest existing parent."""
    existing = next(folder for folder in (path, *path.absolute().parents) if folder.exists())
    return shutil.disk_usage(existing).free


def fsync_folder(folder: Path) -> None:
    """Makes renames and new names inside `folder` durable (a folder is a file of names; nothing to do on Windows)."""
    if sys.platform == "win32":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def write_bytes(path: Path, content: bytes) -> None:
    """Writes `content` under a temporary name, makes it durable and renames it: readers see the old file or the new."""
    temporary = path.with_name(f".{path.name}.tmp-{os.getpid()}")
    with disk_faults(path, "writing"):
        try:
            with temporary.open("wb") as stream:
                stream.write(content)
                stream.flush()
                os.fsync(stream.fileno())
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)
        fsync_folder(path.parent)


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """`write_bytes` of indented JSON; NaN and infinity are refused with ValueError, because JSON has none."""
    text = json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    # A lone surrogate (half of a letter, from a command line that is no UTF-8) becomes JSON's own escape for it.
    write_bytes(path, text.encode("utf-8", "backslashreplace"))


def sha256_of_file(path: Path) -> str:
    """Hexadecimal SHA-256 of the file's bytes."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def folder_bytes(folder: Path) -> int:
    """Bytes of all files below `folder`, each hard link counted once."""
    found = {(stat.st_dev, stat.st_ino): stat.st_size for stat in (p.stat() for p in folder.rglob("*") if p.is_file())}
    return sum(found.values())
