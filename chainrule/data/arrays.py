"""Arrays from files, whole or refused: np.fromfile gives fewer numbers, without a word, where the disk fails."""

from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import DTypeLike, NDArray

from chainrule.base import DataError, disk_faults


def read_array(path: Path, kind: DTypeLike, *, count: int | None = None, offset: int = 0) -> NDArray[Any]:
    """All numbers of the file from byte `offset` on, or so many.

    Raises DiskError where the disk fails, DataError where the file is shorter.
    """
    with disk_faults(path, "reading"), path.open("rb") as stream:
        stream.seek(offset)
        size = None if count is None else count * np.dtype(kind).itemsize
        content = stream.read() if size is None else whole_read(stream, size, path)
    return np.frombuffer(bytearray(content), kind)


def whole_read(stream: BinaryIO, size: int, path: Path) -> bytes:
    """The next `size` bytes; raises DataError, which names `path`, where there are fewer."""
    content = stream.read(size)
    if len(content) != size:
        raise DataError(f"{path} was cut: {len(content):,} bytes were read instead of {size:,}; prepare the text again")
    return content
