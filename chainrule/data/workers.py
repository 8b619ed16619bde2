"""The same work in this process or in several, in the same order and with the same result."""

import multiprocessing
import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import TypeVar

from chainrule.base import DataError

Given = TypeVar("Given")
Result = TypeVar("Result")

# Starting two workers takes about a second (they import numpy and the tokenizer): below this one process is faster.
SMALL_BYTES = 32 << 20
MOST_WORKERS = 16


def worker_count(workers: int, total_bytes: int) -> int:
    """How many processes to use: what is asked for; 0 takes one for small texts, else one for each usable core."""
    if workers:
        return workers
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return 1 if total_bytes < SMALL_BYTES else min(cores, MOST_WORKERS)


def ordered_map(
    task: Callable[[Given], Result], inputs: Iterable[Given], workers: int, *, ahead: int = 2
) -> Generator[tuple[Given, Result], None, None]:
    """Each input with its result, in order; at most `ahead` inputs for each worker wait in memory.

    With one worker all runs in this process, else `task` and its inputs are sent to spawned processes (pickled). They
    ignore signals, so that a Ctrl-C reaches this process alone, and end when it does, however it ends.
    """
    if workers <= 1:
        for given in inputs:
            yield given, task(given)
        return
    pool = ProcessPoolExecutor(workers, multiprocessing.get_context("spawn"), _start_worker)
    waiting: deque[tuple[Given, Future[Result]]] = deque()
    try:
        for given in inputs:
            waiting.append((given, pool.submit(task, given)))
            if len(waiting) > ahead * workers:
                yield _first(waiting)
        while waiting:
            yield _first(waiting)
    except BrokenProcessPool as fault:
        raise DataError(
            "a worker process died: killed for want of memory, or the script that called this has no "
            "`if __name__ == '__main__':` around its work; workers=1 uses no processes"
        ) from fault
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _first(waiting: deque[tuple[Given, Future[Result]]]) -> tuple[Given, Result]:
    given, future = waiting.popleft()
    return given, future.result()


def _start_worker() -> None:
    for name in ("SIGINT", "SIGTERM", "SIGUSR1", "SIGHUP"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.SIG_IGN)
    # One process for each core is parallel enough: the tokenizer's own threads would only get in each other's way.
    os.environ["RAYON_NUM_THREADS"] = "1"
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
