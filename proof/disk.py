"""A disk that is full at every 64 KiB of everything that is written, by a small file system or by a limit of a file."""

import os
import re
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from chainrule.base import FLOOR_BYTES, folder_bytes
from proof.bench import Bench
from proof.case import Attempt, Case, hold
from proof.child import Ended, command, start
from proof.tiny import acknowledged, finish_run, go_on, hold_equal, hold_whole, new, no_traceback
from proof.verbs import Verb, tune_verb, verbs_that_write

STEP, FINE = 64 << 10, 8 << 10
ROOMY = 512 << 20
FULL = re.compile(r"disk is full|the disk of|inodes|larger than allowed|may have at most|ulimit -f")
BYTES = re.compile(r"\d+(\.\d+)? (B|KiB|MiB|GiB|bytes)")


class SmallDisk:
    """A file system of so many bytes (tmpfs) at a folder, which can be made larger; gone at the end."""

    def __init__(self, folder: Path, size: int) -> None:
        self.folder, self.size = folder, size

    def __enter__(self) -> "SmallDisk":
        self.folder.mkdir()
        _mount("-t", "tmpfs", "-o", f"size={self.size}", "tmpfs", str(self.folder))
        return self

    def grow(self) -> None:
        """Makes room for everything."""
        _mount("-o", f"remount,size={ROOMY}", str(self.folder))

    def __exit__(self, *_: object) -> None:
        subprocess.run(["umount", "-l", str(self.folder)], check=True)


def disk(bench: Bench) -> Iterator[Case]:
    """Runs and every other writer on disks of swept sizes."""
    allowed = _may_mount(bench.folder / "may mount")
    needed = folder_bytes(bench.straight) + FLOOR_BYTES
    if allowed:
        # From the smallest that a start may meet to one that is just enough; checkpoints ask for room beforehand.
        sizes = list(range(STEP, needed + 2 * (1 << 20), STEP))
        yield Case(
            "a run on a full disk, then on a larger one",
            len(sizes),
            lambda one: _run(bench, one, sizes[one.number], waits=False),
            quick=1,
        )
        yield Case(
            "a disk that fills while the run goes on, and has room again",
            12,
            lambda one: _filled(bench, one),
            quick=1,
        )
        for verb in (*verbs_that_write(bench), tune_verb(bench)):
            if verb.name in SWEPT:
                yield _writer(bench, verb)
    limits = list(range(FINE, 256 << 10, FINE))
    yield Case(
        "a limit of a file's size (ulimit -f), every 8 KiB",
        len(limits),
        lambda one: _limited(bench, one, limits),
        quick=0 if allowed else 1,
    )


def _run(bench: Bench, attempt: Attempt, size: int, *, waits: bool) -> str:
    with SmallDisk(attempt.folder / "disk", size) as small:
        run = small.folder / "run"
        child = start(new(bench.texts, run), attempt.folder)
        waited = _until_it_waits(child.heard, child.pid)
        if waited:
            os.kill(child.pid, signal.SIGTERM)
        ended = child.wait()
        no_traceback(ended)
        if ended.code != 0:
            hold(ended.code == 2, f"{size:,} bytes: {ended.last()}")
            hold(FULL.search(ended.said) and BYTES.search(ended.said), f"{size:,} bytes: no word of it, {ended.last()}")
            if run.is_dir():
                hold_whole(run, acknowledged(ended.said))
        small.grow()
        finish_run(bench.texts, run)
        hold_equal(bench.equal_to, run)
    if waited:
        return "waited for, ended, equal"
    return "fits" if ended.code == 0 else "refused, equal"


def _filled(bench: Bench, attempt: Attempt) -> str:
    """Another program takes all the room at some step, and gives it back when the run says that it waits."""
    with SmallDisk(attempt.folder / "disk", ROOMY // 8) as small:
        run, other = small.folder / "run", small.folder / "other"

        def fill() -> None:
            left = os.statvfs(small.folder).f_bavail * os.statvfs(small.folder).f_bsize
            with other.open("wb") as stream:
                stream.write(b"\0" * max(0, left - attempt.chance.randrange(0, 4 * STEP, 4096)))

        step = 1 + attempt.number % 11
        child = start(new(bench.texts, run), attempt.folder, before=_at_update(step, fill))
        waited = _until_it_waits(child.heard, child.pid)
        other.unlink(missing_ok=True)
        ended = child.wait()
        no_traceback(ended)
        hold(ended.code == 0, f"filled at step {step}: {ended.last()}")
        hold_equal(bench.equal_to, run)
    return "waited for, equal" if waited else "not noticed, equal"


def _at_update(step: int, act: Callable[[], None]) -> Callable[[], None]:
    from proof.triggers import at_call

    return at_call("chainrule.train.loop:update", step, act)


def _until_it_waits(heard: Callable[[], str], pid: int) -> bool:
    """Whether it says that it waits for room, before it ends."""
    while "The run waits" not in heard():
        if os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT):
            return False
        time.sleep(0.02)
    return True


# Tried on disks that leave so many bytes beside what stands there before: every 8 KiB up to the floor that is kept free
# would be refused alike, so these stand for those; from there on a verb has its own steps.
SWEPT = (
    *("prepare", "pretrain --fork", "finetune", "export hf", "export gguf", "report", "evaluate --on"),
    *("compare --seeds", "tune"),
)
BELOW_THE_FLOOR = (0, FINE, 64 << 10, 256 << 10, 1 << 20, FLOOR_BYTES - FINE)


def _writer(bench: Bench, verb: Verb) -> Case:
    """On a disk with so much room the verb ends well or is refused in a sentence; with more it does what it should."""
    step = verb.step_bytes
    sizes = [*BELOW_THE_FLOOR, *range(FLOOR_BYTES, FLOOR_BYTES + 48 * step, step)]

    def attempt(attempt: Attempt) -> str:
        size = sizes[attempt.number]
        with SmallDisk(attempt.folder / "disk", ROOMY) as small:
            verb.lay(small.folder)
            used = os.statvfs(small.folder)
            taken = (used.f_blocks - used.f_bfree) * used.f_bsize
            # A size of 0 is none at all, which no later one can limit.
            _mount("-o", f"remount,size={max(taken + size, 4096)}", str(small.folder))
            child = start(verb.words(small.folder), attempt.folder, before=verb.before)
            waited = _until_it_waits(child.heard, child.pid)
            if waited:
                os.kill(child.pid, signal.SIGTERM)
            ended = child.wait()
            no_traceback(ended)
            if ended.code != 0:
                hold(ended.code in (2, 143), f"{size:,} bytes: {ended.last()}")
                hold(FULL.search(ended.said), f"{size:,} bytes: no word of it, {ended.last()}")
            small.grow()
            again = command(verb.again(small.folder), attempt.folder, before=verb.before)
            no_traceback(again)
            done = ended.code == 0 and again.code == 2
            hold(again.code == 0 or done, f"{size:,} bytes, then: {again.last()}")
            verb.made(small.folder)
        return "waited for, then done" if waited else "fits" if ended.code == 0 else "refused, then done"

    return Case(f"{verb.name} on a full disk, then on a larger one", len(sizes), attempt)


def _limited(bench: Bench, attempt: Attempt, limits: Sequence[int]) -> str:
    limit, run = limits[attempt.number], attempt.folder / "run"
    ended = command(
        go_on(bench.texts, run),
        attempt.folder,
        before=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)),
    )
    no_traceback(ended)
    if ended.code != 0:
        hold(ended.code == 2 and FULL.search(ended.said), f"{limit:,} bytes: {_told(ended)}")
    if run.is_dir():
        hold_whole(run, acknowledged(ended.said))
    finish_run(bench.texts, run)
    hold_equal(bench.equal_to, run)
    return "fits" if ended.code == 0 else "refused, equal"


def _told(ended: Ended) -> str:
    return ended.last()


def _may_mount(place: Path) -> bool:
    """Whether this process may mount a small file system (root in a container that allows it)."""
    if sys.platform != "linux" or os.geteuid() != 0:
        return False
    try:
        with SmallDisk(place, STEP):
            return True
    except subprocess.CalledProcessError:
        return False


def _mount(*words: str) -> None:
    subprocess.run(["mount", *words], check=True, capture_output=True)
