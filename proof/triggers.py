"""What happens to a child, and when: by what it has done, never by the clock."""

import importlib
import os
import random
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

Act = Callable[[], None]
# The operations on files that Python announces before it does them; fsync is added to them.
EVENTS = ("open", "os.rename", "os.mkdir", "os.remove", "os.rmdir", "os.truncate", "os.link", "shutil.rmtree")
OWN = "chainrule."


def kill() -> None:
    """The end without a warning."""
    os.kill(os.getpid(), signal.SIGKILL)


def sent(number: int, *, group: bool = False) -> Act:
    """Sends this signal to the process itself, or to its group."""
    return lambda: os.killpg(0, number) if group else os.kill(os.getpid(), number)


def at_file_operation(below: Path, number: int, act: Act, *, inside: str = "") -> Callable[[], None]:
    """For `start(before=…)`: `act` at the `number`-th operation on files below a folder (1 is the first).

    With `inside` only paths with that word count: "/.new-step-" are the instants of a save.
    """
    left = number

    def count(path: object) -> None:
        nonlocal left
        if str(path).startswith(str(below)) and inside in str(path):
            left -= 1
            if left == 0:
                act()

    return lambda: _listen(count)


def counting_operations(below: Path, told: Path) -> Callable[[], None]:
    """For `start(before=…)`: each operation's path becomes a line of `told`, so that they can be counted."""
    handle = os.open(told, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    return lambda: _listen(lambda path: _write(handle, path) if str(path).startswith(str(below)) else None)


def at_line(call: str, number: int, act: Act, *, of: str = OWN) -> Callable[[], None]:
    """For `start(before=…)`: `act` at the `number`-th line of chainrule that runs from the first call of `call` on.

    `call` is module:function, as chainrule.train.loop:update. `of=""` counts the lines of every library too. Lines of a
    signal's own handling do not count.
    """
    module, function = call.split(":")
    state = {"left": number, "open": False}

    def called(frame: FrameType, event: str, argument: Any) -> Any:
        name = frame.f_globals.get("__name__", "")
        if not state["open"] and name == module and frame.f_code.co_name == function:
            state["open"] = True
            if number == 0:
                sys.settrace(None)
                act()
                return None
        return ran if name.startswith(of) else None

    def ran(frame: FrameType, event: str, argument: Any) -> Any:
        if event == "line" and state["open"] and frame.f_code.co_name not in ("_receive", "obey", "receive"):
            state["left"] -= 1
            if state["left"] == 0:
                sys.settrace(None)
                act()
        return ran

    return lambda: sys.settrace(called)


def counting_lines(call: str, told: Path) -> Callable[[], None]:
    """For `start(before=…)`: `told` then holds how many lines of all modules ran from the first call of `call` on."""
    ran, module, function = 0, *call.split(":")

    def called(frame: FrameType, event: str, argument: Any) -> Any:
        nonlocal ran
        ran += event == "line" and (ran > 0 or is_it(frame))
        return called

    def is_it(frame: FrameType) -> bool:
        return bool(frame.f_globals.get("__name__") == module and frame.f_code.co_name == function)

    def listen() -> None:
        real = os._exit

        def end(code: int) -> None:
            told.write_text(str(ran))
            real(code)

        vars(os)["_exit"] = end
        sys.settrace(called)

    return listen


def at_call(call: str, number: int, act: Act) -> Callable[[], None]:
    """For `start(before=…)`: `act` when `call` (module:function, or module:Class.method) is entered that many times.

    A function is heard where it is looked up: name the module that calls it.
    """
    module, _, name = call.partition(":")
    owner: Any = importlib.import_module(module)
    *way, last = name.split(".")
    for part in way:
        owner = getattr(owner, part)
    real = getattr(owner, last)
    left = number

    def entered(*given: Any, **named: Any) -> Any:
        nonlocal left
        left -= 1
        if left == 0:
            act()
        return real(*given, **named)

    return lambda: setattr(owner, last, entered)


def at_import(number: int, act: Act) -> Callable[[], None]:
    """For a fresh interpreter: `act` at the `number`-th import."""
    left = number

    def hook(event: str, arguments: Any) -> None:
        nonlocal left
        if event == "import":
            left -= 1
            if left == 0:
                act()

    return lambda: sys.addaudithook(hook)


def drawn(chance: random.Random, most: int) -> int:
    """A number from 1 to `most`."""
    return chance.randint(1, max(1, most))


def _write(handle: int, path: object) -> None:
    os.write(handle, f"{path}\n".encode("utf-8", "replace"))


def _listen(count: Callable[[object], None]) -> None:
    quiet = False

    def heard(path: object) -> None:
        nonlocal quiet
        if quiet:
            return
        quiet = True
        count(path)
        quiet = False

    def hook(event: str, arguments: Any) -> None:
        if event in EVENTS and arguments and isinstance(arguments[0], str | Path | bytes):
            heard(Path.cwd() / os.fsdecode(arguments[0]))

    real = os.fsync

    def fsync(handle: Any) -> None:
        # Before it and behind it: a kill may come with or without the bytes on the disk.
        heard(_path_of(handle))
        real(handle)
        heard(_path_of(handle))

    os.fsync = fsync  # type: ignore[assignment]
    sys.addaudithook(hook)


def _path_of(handle: Any) -> str:
    try:
        return str(Path(f"/proc/self/fd/{handle if isinstance(handle, int) else handle.fileno()}").readlink())
    except OSError:
        return ""
