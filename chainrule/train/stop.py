"""Signals that end a run: inside the loop they are obeyed between two steps, elsewhere at once."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from enum import Enum
from types import FrameType
from typing import Any

from chainrule.base import Interrupted

# What would end the process with its work unsaved: Ctrl-C; a batch system or a service manager (TERM, USR1 and USR2
# announce the end of a job's time, XCPU that of its processor time); a closed terminal or a lost connection (HUP);
# Windows' Ctrl-Break. SIGQUIT (Ctrl-\) is left alone: it is the way out when even a save does not come back.
ENDING = tuple(
    getattr(signal, name)
    for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGUSR1", "SIGUSR2", "SIGXCPU", "SIGBREAK")
    if hasattr(signal, name)
)


class _Mode(Enum):
    AT_ONCE, BETWEEN_STEPS, HELD = range(3)


class Stop:
    """Listens to the signals that end a run. `requested` is the first one's number, or 0; `n_signals` counts them.

    At once: a signal raises Interrupted where the program stands. In `deferred` it waits until somebody calls `obey`,
    and only a second Ctrl-C, which is a person's impatience, raises; all others come twice of themselves (a shell
    repeats the terminal's SIGHUP, SIGXCPU comes each second). In `held` nothing raises. A signal that is ignored when
    the run begins stays ignored: that is what `nohup` and a shell's background jobs ask for.
    """

    def __init__(self) -> None:
        self.requested = 0
        self.n_signals = 0
        self._mode = _Mode.AT_ONCE
        self._before: dict[int, Any] = {}

    def __enter__(self) -> "Stop":
        for number in ENDING:
            # None: a handler that was not installed from Python, which could not be put back.
            if signal.getsignal(number) in (signal.SIG_IGN, None):
                continue
            try:
                self._before[number] = signal.signal(number, self._receive)
            except ValueError:
                break  # not the main thread: Python delivers no signals here, so there is nothing to listen to
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def obey(self) -> None:
        """Raises Interrupted when a signal has asked for the end."""
        if self.requested:
            raise Interrupted(self.requested)

    @contextmanager
    def deferred(self) -> Iterator[None]:
        """Inside, a signal waits for `obey`; a second Ctrl-C does not."""
        with self._in(_Mode.BETWEEN_STEPS):
            yield

    @contextmanager
    def at_once(self) -> Iterator[None]:
        """Inside (evaluation, sampling: nothing is changed there), a signal raises where the program stands."""
        with self._in(_Mode.AT_ONCE):
            yield

    @contextmanager
    def held(self) -> Iterator[None]:
        """Inside (saving, the last words of a run that ends), no signal raises."""
        with self._in(_Mode.HELD):
            yield

    @contextmanager
    def _in(self, mode: _Mode) -> Iterator[None]:
        before, self._mode = self._mode, mode
        try:
            yield
        finally:
            self._mode = before

    def _receive(self, number: int, frame: FrameType | None) -> None:
        self.n_signals += 1
        again, self.requested = bool(self.requested), self.requested or number
        impatient = again and number == signal.SIGINT
        if self._mode is _Mode.AT_ONCE or (self._mode is _Mode.BETWEEN_STEPS and impatient):
            raise Interrupted(number)
