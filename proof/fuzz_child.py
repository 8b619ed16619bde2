"""A forked child that reads what may end a process; what it was reading is known to who waits, however it ends."""

import mmap
import os
import resource
import signal
import struct
import time
import traceback
import warnings
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

COUNTS = struct.Struct("<4Q")
# Six edits add less to an input, and what is told of a find is shorter.
MORE_BYTES = 1 << 20
# Beyond what the child begins with: Rust aborts where memory is refused, and the machine does not end others instead.
MOST_ADDRESSES = 8 << 30


class Board:
    """Memory that parent and child share: how many inputs were tried and refused, the newest of them, and a find."""

    def __init__(self, seeds: Sequence[bytes]) -> None:
        self._shared = mmap.mmap(-1, COUNTS.size + 2 * max(map(len, seeds), default=0) + 2 * MORE_BYTES)

    def begin(self, content: bytes, tried: int, refused: int) -> None:
        """To be called before `content` is read."""
        self._write(tried, refused, content, "")

    def end(self, tried: int, refused: int, find: str) -> None:
        """To be called when no more is read; `find` is empty where nothing was found."""
        self._write(tried, refused, b"", find)

    def counts(self) -> tuple[int, int]:
        """Inputs tried, that which is being read included, and those before it that were refused."""
        tried, refused, _, _ = COUNTS.unpack_from(self._shared)
        return tried, refused

    def content(self) -> bytes:
        """What is being read, or was when the child ended."""
        return self._text(2, COUNTS.size)

    def find(self) -> str:
        """What was told at the end."""
        return self._text(3, COUNTS.size + len(self.content())).decode()

    def _text(self, size: int, start: int) -> bytes:
        return self._shared[start : start + COUNTS.unpack_from(self._shared)[size]]

    def _write(self, tried: int, refused: int, content: bytes, find: str) -> None:
        told = find.encode("utf-8", "replace")
        self._shared[COUNTS.size : COUNTS.size + len(content) + len(told)] = content + told
        COUNTS.pack_into(self._shared, 0, tried, refused, len(content), len(told))


def in_child(work: Callable[[], None], board: Board, patience_seconds: float) -> str:
    """Does `work` in a child; how that died before its end, or an empty string.

    A child that reads one input for longer than `patience_seconds` is killed: it hears no signal.
    """
    with warnings.catch_warnings():
        # Python 3.12 warns of a fork beside threads; nothing here waits for one of torch's.
        warnings.simplefilter("ignore", DeprecationWarning)
        child = os.fork()
    if not child:
        code = 1
        try:
            _bound()
            work()
            code = 0
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(code)
    try:
        status, late = _waited(child, board, patience_seconds)
    except BaseException:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        raise
    if late:
        return f"no end after {patience_seconds:g} s, and no answer to a signal"
    code = os.waitstatus_to_exitcode(status)
    if code < 0:
        return f"the process was ended by {signal.Signals(-code).name}"
    return f"the process ended with {code}" if code else ""


def _waited(child: int, board: Board, patience_seconds: float) -> tuple[int, bool]:
    """The child's status at its end, and whether it had to be killed."""
    tried, since, late = -1, time.monotonic(), False
    while True:
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            return status, late
        if board.counts()[0] != tried:
            tried, since = board.counts()[0], time.monotonic()
        elif time.monotonic() - since > patience_seconds and not late:
            late = True
            os.kill(child, signal.SIGKILL)
        time.sleep(0.005)


def _bound() -> None:
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with suppress(OSError, ValueError):
        n_pages = int(Path("/proc/self/statm").read_text().split()[0])
        most = n_pages * resource.getpagesize() + MOST_ADDRESSES
        resource.setrlimit(resource.RLIMIT_AS, (most, most))
