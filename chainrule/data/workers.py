"""The same work in this process or in several, in the same order and with the same result.

Own processes rather than concurrent.futures: a Ctrl-C while that one starts a process leaves children behind for which
the interpreter then waits for ever (seen), and its workers outlive a parent that was killed.
"""

import multiprocessing
import os
import signal
import threading
import traceback
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from queue import SimpleQueue
from typing import Any, Generic, TypeVar

from chainrule.base import DataError, usable_cores

Label = TypeVar("Label")
Given = TypeVar("Given")
Result = TypeVar("Result")
OrderedMap = Callable[[Iterable[tuple[Label, Given]]], Generator[tuple[Label, Result], None, None]]
"""From pairs of a label and an input to pairs of the label and the result; labels stay in this process."""

# Two workers take 0.6 s of two cores to start, and a megabyte takes one process 10 ms, two 7 ms: below this, and with a
# tokenizer that has threads of its own, one process is done sooner.
SMALL_BYTES = 160 << 20
MOST_WORKERS = 16
# Inputs that wait for each worker, so that it never waits for this process.
AHEAD = 2


def worker_count(workers: int, total_bytes: int) -> int:
    """How many processes to use: what is asked for; 0 takes one for small texts, else one for each usable core."""
    if workers:
        return workers
    return 1 if total_bytes < SMALL_BYTES else min(usable_cores(), MOST_WORKERS)


@contextmanager
def ordered_map(task: Callable[[Given], Result], workers: int) -> Iterator[OrderedMap[Any, Given, Result]]:
    """A function that does `task` for each input, in order; it may be called several times in turn.

    With one worker all runs in this process, else in spawned processes; `task`, inputs and results are then pickled.
    They leave Ctrl-C to this process, and end when it does, however it ends.
    """
    if workers <= 1:

        def alone(inputs: Iterable[tuple[Label, Given]]) -> Generator[tuple[Label, Result], None, None]:
            for label, given in inputs:
                yield label, task(given)

        yield alone
        return
    crew = _Crew[Given, Result]()
    try:
        crew.start(task, workers)
        yield crew.map
    finally:
        crew.end()


class _Crew(Generic[Given, Result]):
    """Processes that take turns: input k goes to process k modulo their number, and so does the wait for its result."""

    def __init__(self) -> None:
        self._members: list[tuple[Any, Connection, Connection]] = []
        self._sent = self._received = 0

    def start(self, task: Callable[[Given], Result], workers: int) -> None:
        context = multiprocessing.get_context("spawn")
        for _ in range(workers):
            inputs, feeding = context.Pipe(duplex=False)
            collecting, results = context.Pipe(duplex=False)
            process = context.Process(target=_work, args=(task, inputs, results), daemon=True)
            # Before it is started: whatever happens, `end` knows of it.
            self._members.append((process, feeding, collecting))
            process.start()
            # With its own ends closed here, each side sees when the other is gone.
            inputs.close()
            results.close()

    def map(self, inputs: Iterable[tuple[Label, Given]]) -> Generator[tuple[Label, Result], None, None]:
        waiting: deque[Label] = deque()
        for label, given in inputs:
            self._send(given)
            waiting.append(label)
            if len(waiting) > AHEAD * len(self._members):
                yield waiting.popleft(), self._receive()
        while waiting:
            yield waiting.popleft(), self._receive()

    def end(self) -> None:
        for process, feeding, collecting in self._members:
            if process.pid is not None:
                process.kill()
                process.join()
            feeding.close()
            collecting.close()

    def _send(self, given: Given) -> None:
        try:
            self._members[self._sent % len(self._members)][1].send(given)
        except OSError as fault:
            raise _died() from fault
        self._sent += 1

    def _receive(self) -> Result:
        try:
            done, result = self._members[self._received % len(self._members)][2].recv()
        except (EOFError, OSError) as fault:
            raise _died() from fault
        self._received += 1
        if not done:
            raise result
        return result


def _died() -> DataError:
    return DataError(
        "a worker process died: killed for want of memory, or the script that called this has no "
        "`if __name__ == '__main__':` around its work; workers=1 uses no processes"
    )


def _work(task: Callable[[Given], Result], inputs: Connection, results: Connection) -> None:
    """The life of a worker."""
    for name in ("SIGINT", "SIGTERM", "SIGUSR1", "SIGHUP"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.SIG_IGN)
    # One process for each core is parallel enough: the tokenizer's own threads would only get in each other's way.
    os.environ["RAYON_NUM_THREADS"] = "1"
    given: SimpleQueue[Given] = SimpleQueue()
    threading.Thread(target=_take, args=(inputs, given), daemon=True).start()
    while True:
        results.send(_answer(task, given.get()))


def _answer(task: Callable[[Given], Result], given: Given) -> tuple[bool, Any]:
    try:
        return True, task(given)
    except Exception as fault:  # Whatever it is, it is raised again where the result is waited for.
        fault.add_note(f"in a worker process:\n{traceback.format_exc()}")
        return False, fault


def _take(inputs: Connection, given: "SimpleQueue[Given]") -> None:
    """Empties the pipe, so that the parent never waits for a busy worker; without a parent all ends."""
    while True:
        try:
            given.put(inputs.recv())
        except (EOFError, OSError):
            os._exit(1)
