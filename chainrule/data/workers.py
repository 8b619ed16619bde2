"""The same work in this process or in several, in the same order and with the same result.

Own processes rather than multiprocessing or concurrent.futures: those import the script of whoever calls, which without
`if __name__ == "__main__"` begins its work again in each of them; a Ctrl-C while they start a process leaves children
behind for which the interpreter then waits for ever (seen); and their workers outlive a parent that was killed.
"""

import os
import pickle
import subprocess
import sys
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import IO, Any, Generic, TypeVar, cast

from chainrule.base import DataError, usable_cores

Label = TypeVar("Label")
Given = TypeVar("Given")
Result = TypeVar("Result")
OrderedMap = Callable[[Iterable[tuple[Label, Given]]], Generator[tuple[Label, Result], None, None]]
"""From pairs of a label and an input to pairs of the label and the result; labels stay in this process."""

# Two workers take 0.6 s of two cores to start, and a megabyte takes one process 10 ms, two 7 ms: below this, and with a
# tokenizer that has threads of its own, one process is done sooner.
SMALL_BYTES = 160 << 20
# A worker holds some 100 MB, most of it libraries; more of them than this are for a person to ask for.
MOST_WORKERS = 64
# Inputs that wait for each worker, so that it never waits for this process.
AHEAD = 2
# The modules are found where this process finds them, before anything but `sys` is imported.
START = "import sys; sys.path[:] = sys.argv[1:]; from chainrule.data.worker_process import live; live()"


def worker_count(workers: int, total_bytes: int) -> int:
    """How many processes to use: what is asked for; 0 takes one for small texts, else one for each usable core."""
    if workers:
        return workers
    return 1 if total_bytes < SMALL_BYTES else min(usable_cores(), MOST_WORKERS)


@contextmanager
def ordered_map(task: Callable[[Given], Result], workers: int) -> Iterator[OrderedMap[Any, Given, Result]]:
    """A function that does `task` for each input, in order; it may be called several times in turn.

    With one worker all runs in this process, else in processes of their own; `task`, inputs and results are then
    pickled, and what they are made of must live in modules, for a worker never imports the script that runs. Workers
    leave Ctrl-C to this process, and end when it does, however it ends.
    """
    if workers <= 1 or not _can_start():

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
        self._members: list[_Member] = []
        self._sent = self._received = 0

    def start(self, task: Callable[[Given], Result], workers: int) -> None:
        pickled = pickle.dumps(task, pickle.HIGHEST_PROTOCOL)
        for _ in range(workers):
            try:
                self._members.append(_Member())
            except OSError as fault:
                # Of processes, memory or descriptors there are no more.
                raise DataError(
                    f"only {len(self._members)} of {workers} worker processes could be started "
                    f"({fault.strerror or fault}); use fewer (machine.workers; with 1 there are none)"
                ) from fault
        # Sent when all are on their way, so that they load their libraries at the same time.
        for member in self._members:
            member.send(pickled)

    def map(self, inputs: Iterable[tuple[Label, Given]]) -> Generator[tuple[Label, Result], None, None]:
        waiting: deque[Label] = deque()
        for label, given in inputs:
            self._members[self._sent % len(self._members)].send(given)
            self._sent += 1
            waiting.append(label)
            if len(waiting) > AHEAD * len(self._members):
                yield waiting.popleft(), self._receive()
        while waiting:
            yield waiting.popleft(), self._receive()

    def end(self) -> None:
        for member in self._members:
            member.end()

    def _receive(self) -> Result:
        done, result = self._members[self._received % len(self._members)].receive()
        self._received += 1
        if not done:
            raise result
        return cast(Result, result)


class _Member:
    """One process and the two pipes to it: pickled inputs on its standard input, results on its standard output."""

    def __init__(self) -> None:
        # One process for each core is parallel enough: the tokenizer's own threads would only be in each other's way.
        environment = {**os.environ, "RAYON_NUM_THREADS": "1"}
        here = [os.path.abspath(place) for place in sys.path if isinstance(place, str)]  # noqa: PTH100 (a zip too)
        # -P: a file of the current folder that is named like a module of Python's is not imported in its place.
        self._process = subprocess.Popen(  # noqa: S603 (our own entry, with this very interpreter)
            [sys.executable, "-P", *_utf8_mode(), "-c", START, *here],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=environment,
            **_own_group(),
        )
        self._inputs = cast(IO[bytes], self._process.stdin)
        self._results = cast(IO[bytes], self._process.stdout)

    def send(self, given: Any) -> None:
        try:
            pickle.dump(given, self._inputs, pickle.HIGHEST_PROTOCOL)
            self._inputs.flush()
        except OSError as fault:
            raise self._died() from fault

    def receive(self) -> tuple[bool, Any]:
        try:
            return cast(tuple[bool, Any], pickle.load(self._results))  # noqa: S301 (what our own process wrote)
        except (EOFError, OSError, pickle.UnpicklingError) as fault:
            raise self._died() from fault

    def end(self) -> None:
        self._process.kill()
        self._process.wait()
        for pipe in (self._inputs, self._results):
            with suppress(OSError):  # what was not sent yet has no reader any more
                pipe.close()

    def _died(self) -> DataError:
        try:
            code: int | None = self._process.wait(1)
        except subprocess.TimeoutExpired:
            code = None
        # POSIX: minus the signal's number. The kernel kills with 9 when memory runs out.
        how = {None: "closed its pipes", -9: "was killed (signal 9), as for want of memory"}.get(
            code, f"ended with code {code}"
        )
        return DataError(
            f"a worker process {how}; what it had to say is above. With fewer workers less memory is used, and with "
            "one (machine.workers = 1) there are no such processes"
        )


def _own_group() -> dict[str, Any]:
    """A terminal's Ctrl-C does not reach a group of its own, not even while the process in it is starting."""
    if sys.platform == "win32":
        return {"creationflags": subprocess.CREATE_NEW_PROCESS_GROUP}
    return {"process_group": 0}


def _utf8_mode() -> list[str]:
    """Names of files mean the same bytes there as here."""
    return ["-X", "utf8=1"] if sys.flags.utf8_mode else []


def _can_start() -> bool:
    """False where the interpreter is inside another program, which would begin that program again."""
    return bool(sys.executable) and not getattr(sys, "frozen", False)
