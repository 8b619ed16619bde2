"""A file is on the disk wholly or not at all, and a disk that refuses says why."""

import errno
import hashlib
import json
import os
import secrets
import stat
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from io import BufferedReader
from pathlib import Path
from typing import IO, Any, BinaryIO

from chainrule.base.errors import DiskError
from chainrule.base.letters import json_escape, with_letters_told
from chainrule.base.room import INODES, free_bytes, free_files
from chainrule.base.units import bytes_text

REFUSALS = {
    errno.ENOSPC: "the disk is full",
    errno.EDQUOT: "the disk quota is used up",
    errno.EROFS: "the file system is read-only",
    errno.EACCES: "permission was denied",
    errno.EPERM: "the operation is not permitted",
    errno.EFBIG: "the file would be larger than allowed",
    errno.EIO: "the disk reported an input/output error",
    errno.ENODEV: "the device is gone",
    errno.ENXIO: "the device is gone",
    errno.ESTALE: "the network folder lost this file (stale handle); mount it again",
    errno.ETIMEDOUT: "the network folder did not answer in time",
    errno.EHOSTDOWN: "the host of the network folder is down",
    errno.EHOSTUNREACH: "the host of the network folder cannot be reached",
    errno.ENOTCONN: "the network folder is no longer connected; mount it again",
    errno.ECONNABORTED: "the connection to the network folder broke; mount it again",
    errno.ENOLCK: "the file system has no locks to give (a network folder without its lock service?)",
    errno.EMFILE: "this process has too many files open; raise its limit (ulimit -n)",
    errno.ENFILE: "the system has too many files open",
    errno.ENAMETOOLONG: "the name or the whole path is too long; use a shorter one",
    errno.ELOOP: "a symbolic link stands in its place, or links lead in a circle",
    errno.ENOTDIR: "a part of the path is a file and not a folder",
    errno.EISDIR: "a folder stands in its place",
    errno.ESPIPE: "a pipe or a device stands in its place",
    errno.EBUSY: "another program holds it",
    errno.ENOSYS: "the file system cannot do that",
    errno.EOPNOTSUPP: "the file system cannot do that",
}
# What network and FUSE mounts (SMB, Drive, s3fs, sshfs) answer to a request that they do not know.
UNSUPPORTED = frozenset({errno.EINVAL, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EBADF, errno.EISDIR})
# The system allows 255 bytes for a name; some file systems fewer.
MOST_STEM = 100


class NotKeptError(OSError):
    """A sync that failed: what was written before it may or may not be on the disk."""


@contextmanager
def disk_faults(path: Path, doing: str) -> Iterator[None]:
    """Turns the operating system's refusals inside the block into a DiskError: `doing` (a verb phrase) and `path`."""
    try:
        yield
    except OSError as fault:
        told = refusal_of(fault, path)
        if told is None:
            raise
        raise DiskError(f"{doing} {path}: {told}. What was saved before is intact.") from fault


def refusal_of(fault: OSError, path: Path) -> str | None:
    """What the system refused at `path`, in words; None for what is no refusal of a disk."""
    if fault.errno not in REFUSALS:
        return None
    if isinstance(fault, NotKeptError):
        return f"the disk did not confirm that it keeps what was written (fsync: {os.strerror(fault.errno)})"
    if fault.errno != errno.ENOSPC:
        return REFUSALS[fault.errno]
    free = f"({bytes_text(free_bytes(path))} free)"
    return f"{INODES} {free}" if free_files(path) == 0 and free_bytes(path) else f"{REFUSALS[fault.errno]} {free}"


def fsync_file(stream: IO[Any]) -> None:
    """Makes what was written durable, as far as the file system knows how to."""
    stream.flush()
    with _if_supported():
        os.fsync(stream.fileno())


def fsync_folder(folder: Path) -> None:
    """Makes renames and new names inside `folder` durable, as far as the file system knows how to (Windows does not).

    A folder is a file of names. Several network and FUSE mounts refuse to sync one, and some refuse to open it.
    """
    if sys.platform == "win32":
        return
    with _if_supported():
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


@contextmanager
def _if_supported() -> Iterator[None]:
    try:
        yield
    except OSError as fault:
        if fault.errno == errno.EIO:
            raise NotKeptError(fault.errno, fault.strerror) from fault
        if fault.errno not in UNSUPPORTED:
            raise


@contextmanager
def whole_file(path: Path) -> Iterator[BinaryIO]:
    """A stream whose content becomes `path` when the block ends well, durably: readers see the old file or the new.

    It is written under a temporary name that no one can guess and that is never a link, so that in a folder which
    others may write nothing of theirs is overwritten.
    """
    temporary = temporary_name(path)
    with disk_faults(path, "writing"):
        try:
            # "x" is O_EXCL, which also refuses a link, wherever that leads.
            with temporary.open("xb") as stream:
                yield stream
                fsync_file(stream)
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)
        fsync_folder(path.parent)


def temporary_name(path: Path) -> Path:
    """A name beside `path`, for what is not whole yet or goes: nobody can guess it, and a start cleans it away."""
    return path.with_name(f".{path.name[:MOST_STEM]}.tmp-{secrets.randbelow(10**12):012d}")


def new_file(path: Path) -> BinaryIO:
    """An empty file at `path`, to be written and read; what stood there is gone, and a link is not followed."""
    path.unlink(missing_ok=True)
    return path.open("x+b")


def write_bytes(path: Path, content: bytes) -> None:
    """Writes `content` as a `whole_file`."""
    with whole_file(path) as stream:
        stream.write(content)


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """`write_bytes` of indented JSON; NaN and infinity are refused with ValueError, because JSON has none."""
    text = json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    # What a terminal would obey, and half a letter from a command line that is no UTF-8, as JSON's own escape for it.
    write_bytes(path, with_letters_told(text, json_escape).encode())


def open_file(path: Path) -> BufferedReader:
    """The file to be read; raises OSError for a pipe or a device as well, which would be waited for."""
    if not stat.S_ISREG(path.stat().st_mode) and not path.is_dir():
        raise OSError(errno.ESPIPE, "a pipe or a device stands in its place", str(path))
    return path.open("rb")


def sha256_of_file(path: Path) -> str:
    """Hexadecimal SHA-256 of the file's bytes."""
    with open_file(path) as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
