"""A signal that is raised where Python lets nothing out (a `__del__` of any library) comes again in a moment.

Python would print a traceback, and go on as if nobody had asked for the end.
"""

import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from chainrule.base import Interrupted

# Until it comes again: the destructor has ended by then.
AGAIN_SECONDS = 0.01


@contextmanager
def lost_signals_come_again() -> Iterator[None]:
    """Inside, a signal that raised KeyboardInterrupt or Interrupted in a destructor is sent to the process again."""
    lost = _Lost()
    told, sys.unraisablehook = sys.unraisablehook, lost.unraisable
    # Python delivers signals to its main thread alone, and a timer of the caller's own stays the caller's.
    main = threading.current_thread() is threading.main_thread() and hasattr(signal, "setitimer")
    lost.by_timer = main and signal.getsignal(signal.SIGALRM) is signal.SIG_DFL
    try:
        if lost.by_timer:
            signal.signal(signal.SIGALRM, lost.rung)
        yield
    finally:
        if lost.by_timer:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, signal.SIG_DFL)
        sys.unraisablehook = told
        if lost.by_timer:
            lost.send()


class _Lost:
    """The number of a signal that was lost, until it is sent again."""

    def __init__(self) -> None:
        self.by_timer = False
        self._number = 0

    def unraisable(self, what: "sys.UnraisableHookArgs") -> None:
        """What Python calls with an exception that it lets out nowhere."""
        fault = what.exc_value
        while True:
            # One that comes in these lines would be lost like the first: where a thread was started here to send it,
            # a machine that was busy for 10 ms meanwhile lost it. Nothing is called outside of `try`.
            try:
                if number := _number_of(fault):
                    self._send_later(number)
                else:
                    sys.__unraisablehook__(what)
                return
            except (KeyboardInterrupt, Interrupted) as newer:
                fault = newer

    def rung(self, number: int, frame: FrameType | None) -> None:
        """The timer's signal."""
        self.send()

    def send(self) -> None:
        """Sends what waits to be sent."""
        number, self._number = self._number, 0
        if number:
            signal.raise_signal(number)

    def _send_later(self, number: int) -> None:
        if self.by_timer:
            self._number = number
            signal.setitimer(signal.ITIMER_REAL, AGAIN_SECONDS)
            return
        again = threading.Timer(AGAIN_SECONDS, _send_to_main, (number,))
        again.daemon = True
        again.start()


def _number_of(fault: BaseException | None) -> int:
    """The signal's number; 0 for what is no signal's."""
    if isinstance(fault, Interrupted):
        return fault.signal_number
    return signal.SIGINT if isinstance(fault, KeyboardInterrupt) else 0


def _send_to_main(number: int) -> None:
    """To the thread that Python's handlers run in: what it waits for ends with that."""
    if hasattr(signal, "pthread_kill"):
        signal.pthread_kill(threading.main_thread().ident or 0, number)
    else:
        signal.raise_signal(number)
