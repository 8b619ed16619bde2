"""The command `chainrule`: calls a verb, and turns every error into one clear message and an exit code."""

import io
import os
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from chainrule.base import ChainruleError, Interrupted, printable, refusal_of, short_lines, system_refusals
from chainrule.cli.again import RAISED, lost_signals_come_again


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command line and returns its exit code.

    0 done, 2 the user's mistake, 128 and the signal's number (130 for Ctrl-C) interrupted, 1 else.
    """
    _open_closed_streams()
    given = list(sys.argv[1:] if arguments is None else arguments)
    options = given[: given.index("--")] if "--" in given else given
    debug = "--debug" in options
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            with suppress(OSError):  # it is flushed by this, and what refuses that will say so where something is said
                stream.reconfigure(errors="replace")  # a letter that the terminal cannot show is no reason to fail
    if debug:
        given.remove("--debug")
    return told(lambda: _called(given), debug=debug)


def told(call: Callable[[], int], *, debug: bool = False) -> int:
    """The exit code of a command, `call`; every error of ours becomes one clear message."""
    try:
        # Around the handlers: between the first and the last of them a signal may be raised in a destructor, too.
        with lost_signals_come_again(), signals_raise(), system_refusals():
            return call()
    except KeyboardInterrupt:
        return _refuse("interrupted", 130, debug=debug)
    except Interrupted as fault:
        return _refuse("interrupted", 128 + fault.signal_number, debug=debug)
    except (ChainruleError, OSError) as fault:
        if number := RAISED.asked():
            # A library took the signal for a fault of what it was reading.
            return _refuse("interrupted", 128 + number, debug=debug)
        return _refused(fault, debug=debug)


def _refused(fault: ChainruleError | OSError, *, debug: bool) -> int:
    if isinstance(fault, ChainruleError):
        return _refuse(str(fault), fault.exit_code, debug=debug)
    if isinstance(fault, BrokenPipeError):
        # The reader (`| head`) has gone. What Python still wants to flush at its exit goes nowhere.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    words = refusal_of(fault, Path(os.fsdecode(fault.filename or "."))) or fault.strerror or str(fault)
    return _refuse(f"{words}{f': {fault.filename}' if fault.filename else ''}", 2, debug=debug)


def _called(given: list[str]) -> int:
    # Here, where a Ctrl-C that comes while the parser is loaded is caught.
    from chainrule.cli.verbs import call

    code = call(given)
    sys.stdout.flush()
    return code


@contextmanager
def signals_raise() -> Iterator[None]:
    """Inside, what ends a program (a service manager's SIGTERM, a closed terminal) unwinds it: no half files stay."""
    before: dict[int, Any] = {}
    # What a handler replaces is noted before it is set, and it is set inside of `try`: one that comes at once leaves no
    # handler behind, which would answer a second one in the middle of a refusal.
    try:
        # The command's first line (__main__.py) left Ctrl-C to the system until here.
        names = ("SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK")
        # Python delivers signals to its main thread alone.
        if threading.current_thread() is threading.main_thread():
            for number in (getattr(signal, name) for name in names if hasattr(signal, name)):
                if (handler := signal.getsignal(number)) in (signal.SIG_DFL, signal.default_int_handler):
                    before[number] = handler
                    signal.signal(number, RAISED.receive)
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _open_closed_streams() -> None:
    """Where the caller closed a stream (`>&-`), what is written goes nowhere rather than into the next opened file."""
    if sys.stdout is not None and sys.stderr is not None:
        return
    for number in (0, 1, 2):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # the lowest number that is free, which is this one
    sys.stdout = sys.stdout or io.TextIOWrapper(io.FileIO(1, "w", closefd=False), write_through=True)
    sys.stderr = sys.stderr or io.TextIOWrapper(io.FileIO(2, "w", closefd=False), write_through=True)


def _refuse(message: str, code: int, *, debug: bool) -> int:
    if debug:
        print(printable(traceback.format_exc()), file=sys.stderr)
    # Printed here, and not as all else in `output`: what that imports may be what there is no memory for. Indented: a
    # name with a line break in it makes no second message of its own.
    print(printable(short_lines(f"chainrule: {message}")).replace("\n", "\n  "), file=sys.stderr)
    return code
