"""Kills, and refuses system calls to, a process that saves; run as a script, prints one JSON object.

python crash.py points|kills|strace FOLDER imports torch once, then forks a child for each fault. Before each, step 1 is
saved in a fresh folder; the child saves step 2 (a second time as well, which replaces) and prunes to one.
"""

import json
import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import torch

from chainrule.base import CheckpointError, DiskError
from chainrule.checkpoint import clean_stumps, newest_checkpoint, prune_checkpoints, save_checkpoint

ROUNDS = 12
CALLS = ("mkdir", "openat", "write", "fsync", "rename", "unlinkat", "rmdir")
FAULTS = ("signal=KILL", "error=ENOSPC", "error=EIO")


def save(folder: Path, step: int, version: int = 0) -> None:
    weights = torch.arange(3000.0) + 1000 * step + version
    save_checkpoint(folder, step, {"model": {"w": weights}}, {"step": step, "version": version})


def work(folder: Path, acknowledge: Callable[[int, int], None]) -> None:
    for version in (0, 1):
        save(folder, 2, version)
        acknowledge(2, version)
    prune_checkpoints(folder, 1)


def fork(job: Callable[[Callable[[int, int], None]], None]) -> tuple[int, int]:
    """The child's pid, and the stream on which it acknowledges what it has saved (by sendto, never refused here)."""
    ours, theirs = socket.socketpair()
    pid = os.fork()
    if pid:
        theirs.close()
        return pid, ours.detach()
    try:
        job(lambda step, version: theirs.sendall(bytes([step, version])))
    except DiskError:
        os._exit(3)
    except BaseException:
        sys.excepthook(*sys.exc_info())
        os._exit(4)
    os._exit(0)


def judge(folder: Path, pipe: int, earliest: tuple[int, int] = (1, 0)) -> list[str]:
    """What is wrong with the folder after the fault; nothing, if all acknowledged saves are there and whole."""
    content = b""
    while part := os.read(pipe, 1 << 16):
        content += part
    os.close(pipe)
    acknowledged = tuple(content[-2:]) if content else earliest
    clean_stumps(folder)
    left = [path.name for path in folder.iterdir() if not path.name.startswith("step-")]
    wrong = [f"stumps {left}"] if left else []
    rejected: list[str] = []
    try:
        newest = newest_checkpoint(folder, on_reject=lambda path, why: rejected.append(why))
    except CheckpointError as fault:
        return [*wrong, str(fault)]
    found = (newest.step, newest.state["version"]) if newest else (0, 0)
    if found < acknowledged or rejected:
        wrong.append(f"acknowledged {acknowledged}, found {found}, rejected {rejected}")
    if newest and newest.tensors("model")["w"][0].item() != 1000 * found[0] + found[1]:
        wrong.append("weights of another version")
    return wrong


def fresh(root: Path) -> Path:
    folder = root / f"{len(list(root.iterdir()))}"
    save(folder, 1)
    return folder


def kill_at_event(number: int) -> None:
    """Kills this process at its `number`-th file operation from now."""
    left = number

    def count() -> None:
        nonlocal left
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    def hook(event: str, arguments: tuple[object, ...]) -> None:
        if event in ("open", "os.rename", "os.mkdir", "os.remove", "os.rmdir"):
            count()

    original = os.fsync

    def fsync(handle: int) -> None:
        count()
        original(handle)
        count()

    os.fsync = fsync
    sys.addaudithook(hook)


def points(root: Path) -> Iterator[list[str]]:
    """SIGKILL at file operation 1, 2, 3, … until the work completes without one."""
    for number in range(1, 1000):
        folder = fresh(root)

        def job(acknowledge: Callable[[int, int], None], folder: Path = folder, number: int = number) -> None:
            kill_at_event(number)
            work(folder, acknowledge)

        pid, pipe = fork(job)
        status = os.waitpid(pid, 0)[1]
        yield [f"operation {number}: {wrong}" for wrong in judge(folder, pipe)]
        if not os.WIFSIGNALED(status):
            return


def kills(root: Path) -> Iterator[list[str]]:
    """SIGKILL from outside, at a random moment after a random number of saves."""
    dice = random.Random(0)

    def forever(folder: Path, acknowledge: Callable[[int, int], None]) -> None:
        for step in range(2, 250):
            save(folder, step)
            acknowledge(step, 0)
            prune_checkpoints(folder, 2)

    for number in range(ROUNDS):
        folder = fresh(root)
        pid, pipe = fork(lambda acknowledge, folder=folder: forever(folder, acknowledge))
        seen = os.read(pipe, 2 * dice.randrange(1, 6))
        time.sleep(dice.random() * 0.01)
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        yield [f"kill {number}: {wrong}" for wrong in judge(folder, pipe, tuple(seen[-2:]))]


def strace(root: Path) -> Iterator[list[str]]:
    """Each system call of the work, one by one, kills or fails with a full disk or a broken one."""
    for call in CALLS:
        for fault in FAULTS:
            for number in range(1, 1000):
                folder = fresh(root)
                waiting, go = os.pipe()

                def job(acknowledge: Callable[[int, int], None], folder: Path = folder, waiting: int = waiting) -> None:
                    os.read(waiting, 1)
                    work(folder, acknowledge)

                pid, pipe = fork(job)
                inject = f"inject={call}:{fault}:when={number}"
                command = ["strace", "-f", "-o", f"{root}/trace", "-e", f"trace={call}", "-e", inject, "-p", str(pid)]
                with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as tracer:
                    assert tracer.stderr and "attached" in tracer.stderr.readline()
                    os.write(go, b"x")
                    status = os.waitpid(pid, 0)[1]
                os.close(waiting)
                os.close(go)
                hit = "INJECTED" in (root / "trace").read_text() or os.WIFSIGNALED(status)
                (root / "trace").unlink()
                wrong = judge(folder, pipe)
                if not os.WIFSIGNALED(status) and os.WEXITSTATUS(status) not in (0, 3):
                    wrong.append(f"exit {os.WEXITSTATUS(status)}")
                yield [f"{call} {number} {fault}: {one}" for one in wrong]
                if not hit:
                    break


if __name__ == "__main__":
    results = list({"points": points, "kills": kills, "strace": strace}[sys.argv[1]](Path(sys.argv[2])))
    sys.stdout.write(json.dumps({"faults": len(results), "wrong": [line for lines in results for line in lines]}))
