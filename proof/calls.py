"""Each system call of a save and of a first start is killed, refused or interrupted, and writes are short.

Kills and refusals by strace, which injects them at the Nth call and which this needs; short writes, which strace cannot
make, by a layer over Python's own io.

A faulted start that left nothing at all (no run, no stump, no file beside it) is followed by a first start like any
other: what is typed next is then tried for one in twenty of those, and for all others.
"""

import builtins
import io
import os
import re
import shutil
import socket
import subprocess
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch

from chainrule.base import CheckpointError, DiskError
from chainrule.checkpoint import clean_stumps, newest_checkpoint, prune_checkpoints, save_checkpoint
from chainrule.cli import main
from proof.bench import Bench
from proof.case import Attempt, Case, NotHeldError, hold
from proof.child import Ended, command, start
from proof.tiny import (
    acknowledged,
    fingerprint,
    finish_run,
    hold_equal,
    hold_whole,
    new,
    no_traceback,
    write_texts,
)

# What touches files; memory, clocks and threads are left alone.
CALLS = (
    *(
        "mkdir",
        "openat",
        "write",
        "pwrite64",
        "fsync",
        "fdatasync",
        "rename",
        "renameat2",
        "unlink",
        "unlinkat",
        "rmdir",
    ),
    *(
        "ftruncate",
        "truncate",
        "link",
        "linkat",
        "symlink",
        "close",
        "read",
        "pread64",
        "getdents64",
        "statfs",
        "flock",
    ),
    *("fallocate", "copy_file_range", "sendfile", "newfstatat", "fstat", "lseek"),
)
ONE_OF = 20
N_TEXTS = 3
# Behind the first row the run is short, with saves on its way.
SHORT = {"training__steps": "4", "training__save_every": "2"}
FAULTS = ("signal=KILL", "error=ENOSPC", "error=EIO", "error=EINTR")
WRITING = ("write", "fsync", "rename")
LINE = re.compile(r"^\d+\s+(\w+)\(")
HERE = re.compile(r'AT_FDCWD<[^>]*>, (?="/)')  # the folder that a whole path is not taken from
FIRST_ROW = re.compile(r"^\d+\s+openat\([^\n]*metrics\.jsonl.*O_APPEND", re.M)


@dataclass(frozen=True)
class Fault:
    """What happens at the `number`-th call of that name."""

    call: str
    number: int
    what: str

    def __str__(self) -> str:
        return f"{self.call} {self.number}: {self.what}"

    @property
    def injection(self) -> str:
        """As strace takes it."""
        return f"inject={self.call}:{self.what}:when={self.number}"


def calls(bench: Bench) -> Iterator[Case]:
    """Saves and first starts with one fault each; whole runs of short writes."""
    if shutil.which("strace"):
        yield _saves(bench)
        yield from _starts(bench)
    quick = 0 if shutil.which("strace") else 1
    yield Case("every write of a run is short (patched io)", 4, lambda attempt: _short(bench, attempt), quick=quick)


def _saves(bench: Bench) -> Case:
    place = bench.folder / "a save"
    faults = _faults(_traced_save(place, "")[2])

    def attempt(attempt: Attempt) -> str:
        fault = faults[attempt.number]
        ended, said, trace = _traced_save(attempt.folder / "checkpoints", fault.injection)
        hold(ended.code in (0, 3, -9), f"{fault}: {ended.last()}")
        _hold_saved(attempt.folder / "checkpoints", said, str(fault))
        hit = "INJECTED" in trace or ended.code == -9
        # A write that failed is never acknowledged as a save.
        refused = fault.call in WRITING and fault.what in FAULTS[1:3]
        hold(not (hit and refused) or ended.code == 3, f"{fault}: was passed over, {ended.last()}")
        return fault.what.partition("=")[2] if hit else "beyond the last call"

    return Case("each system call of a save (strace)", len(faults), attempt, quick=12)


def _starts(bench: Bench) -> Iterator[Case]:
    """The calls on what a start writes (run, cache, temporary files), and on what it reads: text and libraries.

    Of few texts, because each is read alike.
    """
    place = bench.folder / "a start"
    place.mkdir()
    texts = write_texts(bench.folder / "few texts", N_TEXTS)
    trace = FIRST_ROW.split(traced(new(texts, place / "run", **SHORT), place, "")[1])[0]
    # Made here, ahead of processes that would each make it in the same place.
    straight = fingerprint(bench.run_of("straight on few texts", texts, **SHORT))
    # Where the folder of the kernels cannot be looked into, a run has torch's, and says so.
    torchs = fingerprint(bench.run_of("straight with torch's kernels", texts, machine__kernels="off", **SHORT))

    def begun(faults: list[Fault], attempt: Attempt) -> str:
        fault = faults[attempt.number]
        run = attempt.folder / "run"
        ended, seen = traced(new(texts, run, **SHORT), attempt.folder, fault.injection)
        nothing = not any(attempt.folder.iterdir())
        kernels = _kernels(ended)
        try:
            no_traceback(ended)
            hold(ended.code in (0, 2, -9), ended.last())
            hold(ended.code != 0 or not nothing, "it ended well, and there is no run")
            if run.is_dir():
                hold_whole(run, acknowledged(ended.said))
            if not nothing or attempt.chance.randrange(ONE_OF) == 0:
                kernels |= _kernels(finish_run(texts, run, **SHORT))
                if len(kernels) < 2:
                    hold_equal(torchs if kernels == {"torch"} else straight, run)
        except NotHeldError as wrong:
            raise NotHeldError(f"{fault}: {wrong}") from wrong
        hit = "INJECTED" in seen or ended.code == -9
        left = ", nothing left" if nothing else " survived" if ended.code == 0 else ""
        other = ", torch's kernels, said" if "torch" in kernels else ""
        return f"{fault.what.partition('=')[2]}{left}{other}" if hit else "not reached"

    written, read = _apart(trace, str(bench.folder), str(texts))
    for name, faults in (("what it writes", written), ("all else", read)):
        yield Case(
            f"each system call of a first start on {name} (strace)",
            len(faults),
            partial(begun, faults),
            quick=1,
        )


def _kernels(ended: Ended) -> set[str]:
    """Whose kernels it said that it computes with: "own" or "torch"."""
    return {line.split()[1].strip(":") for line in ended.said.splitlines() if line.startswith("kernels: ")}


def _faults(trace: str) -> list[Fault]:
    """Each call of the trace with each fault."""
    return _apart(trace, "", "/nowhere")[0]


def _apart(trace: str, folder: str, apart: str) -> tuple[list[Fault], list[Fault]]:
    """Each call of the trace with each fault: those that name a path in the folder but for one, and the others."""
    seen: Counter[str] = Counter()
    own: list[Fault] = []
    others: list[Fault] = []
    for line in trace.splitlines():
        if match := LINE.match(line):
            seen[match[1]] += 1
            named = HERE.sub("", line).replace(apart, "")
            (own if folder in named else others).extend(Fault(match[1], seen[match[1]], what) for what in FAULTS)
    return own, others


def traced(
    words: Sequence[str], place: Path, injection: str, program: Callable[[Sequence[str]], int] = main
) -> tuple[Ended, str]:
    """Runs the command under strace, which injects; how it ended, and the trace."""
    waiting, go = socket.socketpair()
    settled, ready = os.pipe()

    def wait() -> None:
        os.close(ready)  # that the parent reads an end here says that the child is ready
        waiting.recv(1)  # by recvfrom, which is never refused here

    child = start(words, place, before=wait, program=program)
    waiting.close()
    os.close(ready)
    os.read(settled, 1)
    os.close(settled)
    trace = place.parent / f"{place.name}.trace-{child.pid}"
    calls = f"trace={','.join(CALLS)}" if not injection else f"trace={injection.split('=')[1].split(':')[0]}"
    inject = ["-e", injection] if injection else []
    tracer = subprocess.Popen(
        ["strace", "-f", "-y", "-o", str(trace), "-e", calls, *inject, "-p", str(child.pid)],
        stderr=subprocess.PIPE,
        text=True,
    )
    assert tracer.stderr is not None
    attached = tracer.stderr.readline()
    hold("attached" in attached, f"strace: {attached}")
    go.sendall(b"x")
    go.close()
    ended = child.wait()
    tracer.stderr.close()
    tracer.wait()
    content = trace.read_text("utf-8", "replace")
    trace.unlink()
    return ended, content


def _traced_save(parent: Path, injection: str) -> tuple[Ended, bytes, str]:
    """Saves step 1 without and step 2 (twice, and prunes) with the fault; what was acknowledged on the way."""
    ours, theirs = socket.socketpair()
    _save(parent, 1, 0)

    def work(words: Sequence[str]) -> int:
        # By sendto, which is never refused here.
        try:
            for version in (0, 1):
                _save(parent, 2, version)
                theirs.sendall(bytes([2, version]))
            prune_checkpoints(parent, 1)
        except (DiskError, OSError):
            return 3
        return 0

    ended, trace = traced([], parent, injection, work)
    theirs.close()
    ours.settimeout(5)
    said = ours.recv(64)
    ours.close()
    return ended, said, trace


def _save(parent: Path, step: int, version: int) -> None:
    weights = torch.arange(3000.0) + 1000 * step + version
    save_checkpoint(parent, step, {"model": {"w": weights}}, {"step": step, "version": version})


def _hold_saved(parent: Path, said: bytes, fault: str) -> None:
    earliest = (said[-2], said[-1]) if said else (1, 0)
    rejected: list[str] = []
    try:
        clean_stumps(parent)
        left = [path.name for path in parent.iterdir() if not path.name.startswith("step-")]
        newest = newest_checkpoint(parent, on_reject=lambda path, why: rejected.append(why))
    except (CheckpointError, DiskError) as wrong:
        raise NotHeldError(f"{fault}: {wrong}") from wrong
    found = (newest.step, newest.state["version"]) if newest else (0, 0)
    hold(found >= earliest and not rejected, f"{fault}: acknowledged {earliest}, found {found}, rejected {rejected}")
    hold(not left, f"{fault}: stumps {left}")
    if newest:
        weights = newest.tensors("model")["w"]
        hold(weights[0].item() == 1000 * found[0] + found[1], f"{fault}: weights of another version")


class ShortFile(io.FileIO):
    """A file of which each write takes only a part, as a system may at any time."""

    def write(self, content: Any) -> int:
        """Writes the first half."""
        part = memoryview(content).cast("B")
        return super().write(part[: max(1, len(part) // 2)])


def _short_writes() -> None:
    real = io.open

    def opened(file: Any, mode: str = "r", buffering: int = -1, *more: Any, **named: Any) -> Any:
        if isinstance(file, int) or not set(mode) & set("wax+") or more or "opener" in named:
            return real(file, mode, buffering, *more, **named)
        raw = ShortFile(file, mode.replace("b", "").replace("t", ""))
        if "b" in mode and buffering == 0:
            return raw
        buffered = io.BufferedRandom(raw) if "+" in mode else io.BufferedWriter(raw)
        return buffered if "b" in mode else io.TextIOWrapper(buffered, **named)

    io.open = opened
    builtins.open = opened


def _short(bench: Bench, attempt: Attempt) -> str:
    run = attempt.folder / "run"
    ended = command(new(bench.texts, run), attempt.folder, before=_short_writes)
    no_traceback(ended)
    hold(ended.code == 0, ended.last())
    hold_equal(bench.equal_to, run)
    return "equal"
