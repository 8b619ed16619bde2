"""Ctrl-C and SIGTERM: inside the loop they are obeyed between two steps, elsewhere at once."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any


class Interrupted(BaseException):
    """A signal asked the run to end. Like KeyboardInterrupt it is no Exception: nothing should swallow it by chance."""

    def __init__(self, signal_number: int) -> None:
        super().__init__(f"interrupted by {signal.Signals(signal_number).name}")
        self.signal_number = signal_number


class Stop:
    """Listens to SIGINT and SIGTERM. `requested` is the signal's number, or 0.

    Outside `deferred` a signal raises Interrupted where the program stands. Inside, the first only sets `requested`
    and a second one raises, so that an impatient Ctrl-C Ctrl-C ends at once.
    """

    def __init__(self) -> None:
        self.requested = 0
        self._deferring = False
        self._before: dict[int, Any] = {}

    def __enter__(self) -> "Stop":
        for number in (signal.SIGINT, signal.SIGTERM):
            try:
                self._before[number] = signal.signal(number, self._receive)
            except ValueError:
                break  # not the main thread: Python delivers no signals here, so there is nothing to listen to
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    @contextmanager
    def deferred(self) -> Iterator[None]:
        """Inside, a first signal waits until somebody looks at `requested`."""
        before, self._deferring = self._deferring, True
        try:
            yield
        finally:
            self._deferring = before

    @contextmanager
    def at_once(self) -> Iterator[None]:
        """Inside (evaluation, sampling: nothing is changed there), a signal raises where the program stands."""
        before, self._deferring = self._deferring, False
        try:
            yield
        finally:
            self._deferring = before

    def _receive(self, number: int, frame: FrameType | None) -> None:
        again, self.requested = bool(self.requested), number
        if again or not self._deferring:
            raise Interrupted(number)
