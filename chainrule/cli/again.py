"""A signal that is lost on its way through the program comes again in a moment.

What it raises is lost where Python lets nothing out (of a `__del__` it prints a traceback, and goes on), and in
libraries that put an exception of their own in its place: torch asks an object for its first item, and says of whatever
is raised there that the shape is not known. The program would go on as if nobody had asked: of 704 interrupts of an
export five were lost, and a sixth was taken for damage of a file.
"""

import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from chainrule.base import Interrupted

# Until what was lost in a destructor comes again: that has ended by then.
AGAIN_SECONDS = 0.01
# Until it is looked whether what was raised is still on its way.
LOOK_SECONDS = 0.1
# What `getrefcount` says of an exception that nobody but `Raised` holds: its own argument counts.
ALONE = 2


class Raised:
    """The last signal that raised an exception, until it is answered."""

    def __init__(self) -> None:
        self.by_timer = False
        self._fault: KeyboardInterrupt | Interrupted | None = None
        self._number = self._torn = 0

    def receive(self, number: int, frame: FrameType | None) -> None:
        """The handler of the signals that end a program."""
        # Held by no variable here: the traceback holds this frame.
        self._fault = KeyboardInterrupt() if number == signal.SIGINT else Interrupted(number)
        self._number = number
        if self.by_timer:
            _ring_in(LOOK_SECONDS)
        raise self._fault

    def asked(self) -> int:
        """The number of the signal that was raised and not answered; 0 without one."""
        return self._number if self._fault is not None else 0

    def answered(self) -> None:
        """To be called where the program goes on after a signal because it is meant to."""
        self._fault, self._torn = None, 0

    def rung(self, number: int, frame: FrameType | None) -> None:
        """The timer's signal: one that is on its way no more is sent again."""
        if self._torn:
            self.send_torn()
        elif self._fault is not None and sys.getrefcount(self._fault) > ALONE:
            _ring_in(LOOK_SECONDS)
        elif self._fault is not None:
            signal.raise_signal(self._number)

    def send_torn(self) -> None:
        """Sends again what a destructor lost, if anything."""
        number, self._torn = self._torn, 0
        if number:
            signal.raise_signal(number)

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

    def _send_later(self, number: int) -> None:
        if self.by_timer:
            self._torn = number
            _ring_in(AGAIN_SECONDS)
            return
        again = threading.Timer(AGAIN_SECONDS, _send_to_main, (number,))
        again.daemon = True
        again.start()


RAISED = Raised()


@contextmanager
def lost_signals_come_again() -> Iterator[None]:
    """Inside, a signal that is lost on its way is sent to the process again."""
    told, sys.unraisablehook = sys.unraisablehook, RAISED.unraisable
    RAISED.answered()
    # Python delivers signals to its main thread alone, and a timer of the caller's own stays the caller's.
    main = threading.current_thread() is threading.main_thread()
    RAISED.by_timer = main and hasattr(signal, "SIGALRM") and signal.getsignal(signal.SIGALRM) is signal.SIG_DFL
    try:
        if RAISED.by_timer:
            _ring_for(RAISED.rung)
        yield
    finally:
        if RAISED.by_timer:
            _ring_in(0)
            _ring_for(signal.SIG_DFL)
        sys.unraisablehook = told
        RAISED.send_torn()


def _ring_in(seconds: float) -> None:
    """Sets the timer, where the system has one; 0 stops it."""
    if hasattr(signal, "setitimer"):
        signal.setitimer(signal.ITIMER_REAL, seconds)


def _ring_for(handler: Callable[[int, FrameType | None], None] | signal.Handlers) -> None:
    if hasattr(signal, "SIGALRM"):
        signal.signal(signal.SIGALRM, handler)


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
