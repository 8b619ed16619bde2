"""The command `chainrule`: finds the verb, and turns every error into one clear message and an exit code.

Verbs are named by strings and imported when they are called, so that `chainrule --help` stays fast.
"""

import io
import os
import signal
import sys
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import FrameType
from typing import TYPE_CHECKING

from chainrule import __version__
from chainrule.base import ChainruleError, Interrupted, nearest, system_refusals

if TYPE_CHECKING:
    from cyclopts import App, CycloptsError

VERBS = {
    "quickstart": "Train a small GPT in five minutes on a text that is at hand, and show it.",
    "pretrain": "Train a language model on your text.",
    "prepare": "Read and tokenize a text once, for all runs on it.",
    "generate": "Let a model write.",
    "evaluate": "Measure a model on held-out text.",
    "report": "Write a run's report: one HTML page.",
    "runs": "List runs, or compare two.",
    "lens": "See tensors, the graph and every gradient, and prove them.",
    "export": "Write a model in the format of other tools.",
    "plan": "Parameters, operations, memory and time, before anything is trained.",
    "cache": "List prepared text that is kept, and remove it.",
    "config": "Show all settings, where they come from and what they do.",
}
SUB_APPS = ("runs", "lens", "export", "cache", "config")

HELP = """Pretrain a language model from raw text.

Begin with `chainrule quickstart`, or with your own text: `chainrule pretrain my_texts/ --minutes 5`.
"""


def command_line(called: str | None = None, below: Sequence[str] = ()) -> "App":
    """The application; only the verb that is `called` tells its whole help, and only it is imported.

    `below` are the words after it: of the instruments of the lens only the one called tells its whole help.
    """
    from cyclopts import App

    app = App(
        name="chainrule",
        help=HELP,
        help_epilogue="`chainrule VERB --help` has examples. `--debug` adds the traceback to an error.",
        version=__version__,
        help_format="markdown",
        print_error=False,
        exit_on_error=False,
        suppress_keyboard_interrupt=False,
        result_action="return_value",
    )
    for place, (verb, sentence) in enumerate(VERBS.items()):
        if verb == called == "lens":
            from chainrule.cli.lens import instruments

            app.command(instruments(below, place))
            continue
        target = f"chainrule.cli.{verb}:{'app' if verb in SUB_APPS else verb}"
        app.command(target, name=verb, help=None if verb == called else sentence, sort_key=place)
    return app


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
            stream.reconfigure(errors="replace")  # a letter that the terminal cannot show is no reason to fail
    if debug:
        given.remove("--debug")
    try:
        with _signals_raise(), system_refusals():
            return _call(given, debug=debug)
    except ChainruleError as fault:
        return _refuse(str(fault), fault.exit_code, debug=debug)
    except KeyboardInterrupt:
        return _refuse("interrupted", 130, debug=debug)
    except Interrupted as fault:
        return _refuse("interrupted", 128 + fault.signal_number, debug=debug)
    except BrokenPipeError:
        # The reader (`| head`) has gone. What Python still wants to flush at its exit goes nowhere.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as fault:
        return _refuse(f"{fault.strerror or fault}{f': {fault.filename}' if fault.filename else ''}", 2, debug=debug)


def _call(given: list[str], *, debug: bool) -> int:
    """Calls the verb; cyclopts is loaded here, where a Ctrl-C that comes meanwhile is caught."""
    from cyclopts import CycloptsError

    place = next((at for at, word in enumerate(given) if word in VERBS), len(given))
    called = given[place] if place < len(given) else None
    try:
        code = command_line(called, given[place + 1 :])(given)
    except CycloptsError as fault:
        return _refuse(_usage_mistake(fault), 2, debug=debug)
    sys.stdout.flush()
    return code if isinstance(code, int) else 0


@contextmanager
def _signals_raise() -> Iterator[None]:
    """Inside, what ends a program (a service manager's SIGTERM, a closed terminal) unwinds it: no half files stay."""

    def receive(number: int, frame: FrameType | None) -> None:
        raise Interrupted(number)

    before = {}
    for number in (getattr(signal, name) for name in ("SIGTERM", "SIGHUP", "SIGBREAK") if hasattr(signal, name)):
        if signal.getsignal(number) is signal.SIG_DFL:
            try:
                before[number] = signal.signal(number, receive)
            except ValueError:
                break  # not the main thread, where Python delivers no signals
    try:
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
        traceback.print_exc()
    print(f"chainrule: {message}", file=sys.stderr)
    return code


def _usage_mistake(fault: "CycloptsError") -> str:
    """What cyclopts says, without a developer's preamble; what pydantic found, in the words of the configuration."""
    from cyclopts import UnusedCliTokensError

    from chainrule.cli.flags import flag_mistakes

    fault.verbose = False
    command = " ".join(["chainrule", *(fault.command_chain or ())])
    if isinstance(fault, UnusedCliTokensError) and fault.unused_tokens and fault.app:
        word = fault.unused_tokens[0]
        message = f"unexpected word {word!r}.{nearest(word, (name for name in fault.app if name[0] != '-'))}"
    else:
        message = flag_mistakes(fault) or str(fault)
    return f"{message}\nSee `{command} --help`."
