"""The life of a worker process: tasks come in by its standard input, results go out by its standard output."""

import os
import pickle
import signal
import sys
import threading
import traceback
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any, BinaryIO

from chainrule.base import DataError


def live() -> None:
    """Answers inputs until the other side is gone; the first thing that comes is what to do with them, pickled."""
    for name in ("SIGINT", "SIGTERM", "SIGUSR1", "SIGHUP"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.SIG_IGN)
    inputs = sys.stdin.buffer
    # What a library prints must not fall among the results: it goes to standard error.
    results = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    given: SimpleQueue[Any] = SimpleQueue()
    task = _task(_next(inputs))
    threading.Thread(target=_take, args=(inputs, given), daemon=True).start()
    while True:
        try:
            results.write(answer(task, given.get()))
            results.flush()
        except OSError:
            os._exit(1)


def _take(inputs: BinaryIO, given: "SimpleQueue[Any]") -> None:
    """Empties the pipe, so that the parent never waits for a busy worker; without a parent all ends."""
    while True:
        given.put(_next(inputs))


def _next(inputs: BinaryIO) -> Any:
    try:
        return pickle.load(inputs)  # noqa: S301 (what our own parent wrote)
    except (EOFError, OSError, pickle.UnpicklingError):
        os._exit(1)


def _task(pickled: bytes) -> Callable[[Any], Any]:
    """The function to call; one that cannot be had here refuses every input and says why."""
    try:
        return pickle.loads(pickled)  # noqa: S301 (what our own parent wrote)
    except (AttributeError, ImportError) as fault:
        reason = str(fault)

    def refuse(given: Any) -> Any:
        raise DataError(
            f"a worker process cannot have what it is to do ({reason}): it does not import the script that runs. Put "
            "what is defined there into a module, or use one worker"
        )

    return refuse


def answer(task: Callable[[Any], Any], given: Any) -> bytes:
    """(True, result) or (False, exception), pickled."""
    try:
        return pickle.dumps((True, task(given)), pickle.HIGHEST_PROTOCOL)
    except BaseException as fault:
        # Whatever it is, it is raised again where the result is waited for.
        fault.add_note(f"in a worker process:\n{traceback.format_exc()}")
        return _refusal(fault)


def _refusal(fault: BaseException) -> bytes:
    """(False, the exception), pickled; when that cannot travel (a panic of a compiled library), its words do."""
    try:
        if not isinstance(fault, Exception):
            raise TypeError("no exception that a program catches")
        pickled = pickle.dumps((False, fault), pickle.HIGHEST_PROTOCOL)
        pickle.loads(pickled)  # noqa: S301 (some are written and cannot be read again)
    except (AttributeError, TypeError, ValueError, pickle.PicklingError):
        told = DataError(f"a worker process failed: {type(fault).__name__}: {fault}")
        told.__notes__ = fault.__notes__
        pickled = pickle.dumps((False, told), pickle.HIGHEST_PROTOCOL)
    return pickled
