"""On Linux: memory that a training step frees is kept for the next step instead of going back to the system."""

import ctypes
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

# mallopt's parameters in malloc.h of the GNU C library.
M_TRIM_THRESHOLD, M_TOP_PAD, M_MMAP_THRESHOLD, M_MMAP_MAX = -1, -2, -3, -4
LARGEST_INT = 2**31 - 1
KEEPING = {M_MMAP_MAX: 0, M_TRIM_THRESHOLD: LARGEST_INT, M_TOP_PAD: 64 * 2**20}
# What the library itself arrives at once blocks of 32 MiB have come and gone (its thresholds rise with them; a call of
# mallopt ends that); there is no call that reads the values of before.
AS_BEFORE = {M_MMAP_MAX: 65536, M_MMAP_THRESHOLD: 32 * 2**20, M_TRIM_THRESHOLD: 64 * 2**20, M_TOP_PAD: 128 * 2**10}
# Whoever set one of these has decided how the process keeps its memory.
MALLOC_SETTINGS = (
    "MALLOC_MMAP_MAX_",
    "MALLOC_MMAP_THRESHOLD_",
    "MALLOC_TOP_PAD_",
    "MALLOC_TRIM_THRESHOLD_",
    "GLIBC_TUNABLES",
)


_inside: list[None] = []


@contextmanager
def freed_memory_kept() -> Iterator[bool]:
    """While it lasts, the C library serves large blocks from its own heap; yields whether that was possible.

    By default each large tensor is mapped anew and its pages are zeroed and faulted in at every step: a step of a model
    of 6M parameters spent 15 to 20 % of its processor time there (Zen 4, one thread). Meanwhile the whole process keeps
    its peak; at the end of the outermost the library is set as it was and what is free goes back to the system.
    """
    if _inside:
        yield True
        return
    library = _library()
    if library is None:
        yield False
        return
    kept = all(bool(library.mallopt(parameter, value)) for parameter, value in KEEPING.items())
    _inside.append(None)
    try:
        yield kept
    finally:
        _inside.pop()
        for parameter, value in AS_BEFORE.items():
            library.mallopt(parameter, value)
        library.malloc_trim(0)


def _library() -> ctypes.CDLL | None:
    """The GNU C library, where it is this process's own and nobody has set it already."""
    if not sys.platform.startswith("linux") or any(name in os.environ for name in MALLOC_SETTINGS):
        return None
    try:
        library = ctypes.CDLL("libc.so.6")
    except OSError:  # another C library (musl)
        return None
    return library if hasattr(library, "mallopt") and hasattr(library, "malloc_trim") else None
