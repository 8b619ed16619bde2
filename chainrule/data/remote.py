"""Text that lies in object storage or another remote place: s3://, gs://, whatever fsspec knows. Its only door.

It is read where it lies, file by file, and nothing of it is kept here but what compressed files unfold into.
"""

import hashlib
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from typing import Any, BinaryIO, NamedTuple, cast

from chainrule.base import DataError, MissingPackageError

SCHEME = re.compile(r"[a-z][a-z0-9+.-]+://")
EXTRA = "remote"
# By which of these the storage says when a file was written, or which version it is.
WRITTEN, VERSIONS = (
    ("mtime", "LastModified", "last_modified", "updated", "created"),
    ("ETag", "etag", "generation", "md5"),
)


class RemoteFile(NamedTuple):
    """A file, as it was when it was listed."""

    path: str
    size: int
    mtime_ns: int
    """When it was written, or a number that changes with its version."""


def is_remote(path: str) -> bool:
    """Whether the path begins with a scheme, such as s3://."""
    return bool(SCHEME.match(path))


def remote_files(path: str) -> list[RemoteFile]:
    """The file, or all files below the folder or that match the glob, by name.

    Raises DataError when there is none or the storage refuses, MissingPackageError without the package that knows it.
    """
    system, place = _system(path)
    with _faults(path):
        if any(sign in place for sign in "*?["):
            found = system.glob(place, detail=True)
        elif system.isdir(place):
            found = system.find(place, detail=True)
        else:
            found = {place: system.info(place)}
    files = [(name, info) for name, info in sorted(found.items()) if info.get("type") == "file"]
    if not files:
        raise DataError(f"{path}: there is no such file or folder, or nothing in it")
    return [RemoteFile(system.unstrip_protocol(name), *_state(info)) for name, info in files]


def remote_open(path: str) -> BinaryIO:
    """The file, in which one can jump; raises OSError as `open` does."""
    system, place = _system(path)
    return cast(BinaryIO, system.open(place, "rb"))


def remote_state(path: str) -> tuple[int, int]:
    """Size and `mtime_ns` of the file now."""
    system, place = _system(path)
    with _faults(path):
        return _state(system.info(place))


def _system(path: str) -> tuple[Any, str]:
    """The file system and the path in it."""
    try:
        import fsspec
    except ImportError:
        raise MissingPackageError(f"reading {path}", "fsspec", EXTRA) from None
    scheme = path.partition("://")[0]
    try:
        system, place = fsspec.core.url_to_fs(path, use_listings_cache=False)
    except ImportError as fault:
        raise MissingPackageError(f"reading {scheme}://", _package(scheme, fault), EXTRA) from None
    except ValueError as fault:
        raise DataError(f"{path}: {scheme}:// is no place that is known ({fault}); s3:// and gs:// are") from fault
    return system, place


def _package(scheme: str, fault: ImportError) -> str:
    known = {"s3": "s3fs", "s3a": "s3fs", "gs": "gcsfs", "gcs": "gcsfs"}
    return known.get(scheme, str(fault))


def _state(info: Mapping[str, Any]) -> tuple[int, int]:
    """Size, and the time of writing in nanoseconds; without one, a number made of the version."""
    written = next((info[name] for name in WRITTEN if info.get(name)), None)
    if isinstance(written, datetime):
        written = written.timestamp()
    if isinstance(written, int | float):
        return int(info["size"]), round(written * 1e9)
    version = written or next((info[name] for name in VERSIONS if info.get(name)), "")
    return int(info["size"]), int.from_bytes(hashlib.blake2b(str(version).encode(), digest_size=7).digest())


@contextmanager
def _faults(path: str) -> Iterator[None]:
    """What a storage raises, in one sentence: the packages for them have errors of their own."""
    try:
        yield
    except FileNotFoundError as fault:
        raise DataError(f"{path}: there is no such file or folder") from fault
    except Exception as fault:
        raise DataError(
            f"{path}: the storage refused ({type(fault).__name__}: {fault}); are the name and the credentials right?"
        ) from fault
