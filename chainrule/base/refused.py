"""What the system refuses in the middle of anything, threads and memory, told in one clear sentence."""

import errno
import traceback
from collections.abc import Iterator
from contextlib import contextmanager

from chainrule.base.errors import DeviceError
from chainrule.base.memory import available_memory
from chainrule.base.units import bytes_text

# Words of Python, OpenBLAS, Rust's rayon (which numpy's neighbours and the tokenizers start threads by) and the kernel.
NO_THREADS = ("start new thread", "thread pool", "failed to spawn thread", "resource temporarily unavailable")
# Of the loader of libraries, which Python tells as an ImportError, and ctypes as an OSError without a number.
NO_PLACE = ("failed to map segment", "cannot map", "static tls", "cannot create shared object descriptor")
NO_MEMORY = ("out of memory", "can't allocate memory", "cannot allocate memory", "not enough memory", "bad_alloc")


# Held while anything may be refused, and let go when it is: a sentence needs memory too.
SPARE_BYTES = 1 << 20


@contextmanager
def system_refusals() -> Iterator[None]:
    """Raises DeviceError for threads, processes or memory that the system does not grant; lets all else through.

    Rust's panics reach Python as exceptions that are no `Exception`; one that is about something else is a mistake of
    ours or of a library's, and goes on as it is.
    """
    spare = [bytearray(SPARE_BYTES)]
    try:
        yield
    except BaseException as fault:
        spare.clear()
        told = refusal(fault)
        if told is None:
            raise
        raise DeviceError(told) from fault


def refusal(fault: BaseException) -> str | None:
    """What was refused and what to do, when `fault` is about threads, processes or memory; else None."""
    words = str(fault).lower()
    panicked = type(fault).__name__ == "PanicException"
    if out_of_memory(fault):
        return _no_memory()
    out_of_processes = isinstance(fault, OSError) and fault.errno == errno.EAGAIN and _starting(fault)
    if out_of_processes or ((panicked or isinstance(fault, RuntimeError)) and _any(NO_THREADS, words)):
        return (
            f"the system lets this process start no more threads or processes ({_first_line(fault)}); close other "
            "programs, raise the limit (`ulimit -u`, `ulimit -v`, the container's pids limit), or use fewer: "
            "--machine.threads 1 --machine.workers 1"
        )
    return None


def out_of_memory(fault: BaseException) -> bool:
    """Whether memory did not suffice: Python's, the system's, or torch's, which raises a RuntimeError for it."""
    if isinstance(fault, OSError):
        return fault.errno == errno.ENOMEM or (fault.errno is None and _any(NO_PLACE + NO_MEMORY, str(fault).lower()))
    if isinstance(fault, ImportError):
        return _any(NO_PLACE + NO_MEMORY, str(fault).lower())
    return isinstance(fault, MemoryError) or (isinstance(fault, RuntimeError) and _any(NO_MEMORY, str(fault).lower()))


def _starting(fault: BaseException) -> bool:
    """Whether a process was being started; a full pipe has the same number."""
    frames = (frame for frame, _ in traceback.walk_tb(fault.__traceback__))
    return any(frame.f_globals.get("__name__") in ("subprocess", "multiprocessing.popen_fork") for frame in frames)


def _no_memory() -> str:
    try:
        left = f" ({bytes_text(available_memory())} can be had)"
    except MemoryError:  # not even for that
        left = ""
    return (
        f"out of memory{left}; close other programs, allow this process more (`ulimit -v`), or use a smaller "
        "model.emb_dim, model.context_length or machine.micro_batch: `chainrule plan` shows what a run needs"
    )


def _any(parts: tuple[str, ...], words: str) -> bool:
    return any(part in words for part in parts)


def _first_line(fault: BaseException) -> str:
    text = str(fault).strip()
    return text.splitlines()[0][:160] if text else type(fault).__name__
