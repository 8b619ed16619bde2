"""Whole commands, from the start of the process to its end or to a line, in wall and processor time."""

import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from chainrule.base import UserError
from chainrule.bench.contest import Reading


def run_command(
    command: Sequence[str], environment: Mapping[str, str], folder: Path, *, until: str | None = None
) -> Reading:
    """Seconds until the command ends, or until it prints a line with `until`, and then it is ended.

    Raises UserError with its last line when it fails, or ends without that line.
    """
    before, start = _children_seconds(), time.perf_counter()
    with subprocess.Popen(  # noqa: S603 (commands of our own, and of a checkout that the user names)
        list(command),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        errors="replace",
        env=dict(environment),
        cwd=folder,
    ) as child:
        try:
            last, seconds = _heard(child, until, start)
        except BaseException:  # a signal to us ends the child too, which would go on else
            child.kill()
            raise
    if seconds is None or (not until and child.returncode):
        raise UserError(f"`{' '.join(command)}` ended with code {child.returncode} and said last: {last}")
    used = _children_seconds() - before
    return Reading(seconds, seconds, used, used or None)


def _heard(child: "subprocess.Popen[str]", until: str | None, start: float) -> tuple[str, float | None]:
    """Its last line, and the seconds to its end or to the line that was waited for; None without that line."""
    assert child.stdout is not None
    last = "nothing"
    for line in child.stdout:
        last = line.strip() or last
        if until and until in line:
            seconds = time.perf_counter() - start
            child.kill()
            return last, seconds
    child.wait()
    return last, None if until else time.perf_counter() - start


def chainrule_command(*words: str) -> list[str]:
    """Our own command in a process of its own."""
    return [sys.executable, "-m", "chainrule", *words]


def _children_seconds() -> float:
    """Of processor time, of all children that ended; 0 on Windows."""
    times = os.times()
    return times.children_user + times.children_system
