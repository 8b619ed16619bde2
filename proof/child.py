"""The real command in a process of its own, forked from one that has loaded torch: 5 s of imports are made once."""

import gc
import importlib
import io
import os
import resource
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path

import torch

from chainrule.base import DeviceError
from chainrule.cli import main
from chainrule.kernels.build import built_library

# Imported before the first fork. What is left to a child (tens of milliseconds) is imported by each again.
WARM = (
    *(
        "verbs",
        "pretrain",
        "prepare",
        "finetune",
        "export",
        "report",
        "evaluate",
        "generate",
        "runs",
        "tune",
        "compare",
    ),
    *("runs_prune", "quickstart", "plan", "config", "cache", "lens", "watch", "chat", "classify", "doctor", "log"),
)
ROOMS = ("train", "report", "export", "evaluate", "finetune", "tune", "compare", "lens", "generate", "spike", "panel")
ENDING = ("SIGINT", "SIGTERM", "SIGHUP", "SIGUSR1", "SIGUSR2", "SIGQUIT", "SIGPIPE", "SIGXFSZ")
MOST_SECONDS = 120.0


def warm() -> None:
    """Imports what the verbs import; computes nothing, so that no thread is lost by a fork."""
    for name in WARM:
        importlib.import_module(f"chainrule.cli.{name}")
    for name in ROOMS:
        importlib.import_module(f"chainrule.{name}")
    # A disk that refuses to give a module of another package would be that package's to answer for.
    for name in ("importlib.readers", "numpy.ma", "pydantic.dataclasses", "torch.profiler._cupti_monitor"):
        importlib.import_module(name)
    if find_spec("gigatoken"):
        importlib.import_module("gigatoken")
    # torch loads its compiler with the first optimizer, which takes a second and more.
    torch.optim.SGD([torch.zeros(1)])
    gc.collect()
    gc.freeze()


def warm_kernels() -> None:
    """Builds the kernels into the cache of the day: a compiler's own files are not what is proved."""
    with suppress(DeviceError):
        built_library()


@dataclass(frozen=True)
class Ended:
    """How a process ended: its exit code, or minus the signal that killed it; what it said; its largest memory."""

    code: int
    out: str
    err: str
    peak_bytes: int

    @property
    def said(self) -> str:
        """All that it said, on both streams."""
        return self.out + self.err

    def last(self) -> str:
        """The end of what it said, for a message."""
        return f"exit code {self.code}: …{self.said[-700:]}"


@dataclass
class Child:
    """A process that runs a command; `wait` is called once."""

    pid: int
    said: Path
    began: float = field(default_factory=time.monotonic)

    def wait(self, seconds: float = MOST_SECONDS) -> Ended:
        """Waits for its end; one that takes longer is killed, which is the code -9 and a sentence."""
        late = False
        while (ended := os.wait4(self.pid, os.WNOHANG))[0] == 0:
            if not late and time.monotonic() - self.began > seconds:
                late = True
                os.killpg(self.pid, signal.SIGKILL)
            time.sleep(0.005)
        out, err = (_said(self.said, name) for name in ("out", "err"))
        if late:
            err += f"\nit did not end within {seconds:.0f} s"
        return Ended(os.waitstatus_to_exitcode(ended[1]), out, err, ended[2].ru_maxrss * 1024)

    def heard(self) -> str:
        """What it has said so far."""
        return _said(self.said, "out") + _said(self.said, "err")


def start(
    words: Sequence[str],
    place: Path,
    *,
    before: Callable[[], None] = lambda: None,
    program: Callable[[Sequence[str]], int] = main,
    environment: Mapping[str, str] | None = None,
) -> Child:
    """Forks a child that leads a process group of its own, calls `before` and then the command, in the folder `place`.

    `before` sets what shall happen to it: what it does there happens in the child alone.
    """
    said = Path(tempfile.mkdtemp(prefix="said-", dir=tempfile.gettempdir()))
    sys.stdout.flush()
    sys.stderr.flush()
    pid = os.fork()
    if pid:
        return Child(pid, said)
    try:
        _settle(said, place, environment or {})
        before()
        code = program(words)
        sys.stdout.flush()
        sys.stderr.flush()
    except BaseException:
        # Whatever a command raises is what the interpreter would have printed.
        sys.excepthook(*sys.exc_info())
        code = 1
    sys.settrace(None)
    os._exit(code)


def command(
    words: Sequence[str], place: Path, *, before: Callable[[], None] = lambda: None, seconds: float = MOST_SECONDS
) -> Ended:
    """Starts it and waits for its end."""
    return start(words, place, before=before).wait(seconds)


def _settle(said: Path, place: Path, environment: Mapping[str, str]) -> None:
    os.setpgid(0, 0)
    for number in (getattr(signal, name) for name in ENDING):
        signal.signal(number, signal.SIG_IGN if number in (signal.SIGPIPE, signal.SIGXFSZ) else signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    for number, name in ((1, "out"), (2, "err")):
        handle = os.open(said / name, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        os.dup2(handle, number)
        os.close(handle)
    sys.stdin = io.TextIOWrapper(io.FileIO(0, closefd=False))
    for name, number in (("stdout", 1), ("stderr", 2)):
        stream = io.TextIOWrapper(io.FileIO(number, "w", closefd=False), encoding="utf-8", line_buffering=True)
        setattr(sys, name, stream)
    os.environ.update(environment)
    os.chdir(place)


def _said(folder: Path, name: str) -> str:
    path = folder / name
    return path.read_text("utf-8", "replace") if path.is_file() else ""
