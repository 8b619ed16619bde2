"""A side in a process of its own: started, awaited, and what it found read from its last line."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from chainrule.base import UserError, spins
from chainrule.bench.contest import Reading

# What a peer's process begins with: torch first, so that chainrule, which is imported for the weights and the windows,
# finds it loaded and leaves OpenMP's waiting as it is by default. The peer computes as it would without us.
TORCH_FIRST = "import torch, runpy; runpy.run_module('chainrule.bench.side', run_name='__main__')"


def read_side(task: str, given: Mapping[str, Any], threads: int, *, peer: bool = False) -> Reading:
    """Runs a task of `side.py` and returns what it read; raises UserError with its last words when it fails."""
    begin = ["-c", TORCH_FIRST] if peer else ["-m", "chainrule.bench.side"]
    answer = last_line([sys.executable, *begin, task, json.dumps({**given, "threads": threads})], threads, peer=peer)
    found = json.loads(answer)
    return Reading(**{**found, "losses": tuple(found["losses"])})


def last_line(command: list[str], threads: int, *, peer: bool = False, folder: Path | None = None) -> str:
    """The last line that a command prints; raises UserError with what it said last when it fails."""
    environment = surroundings(threads, peer=peer)
    done = subprocess.run(  # noqa: S603
        command,
        capture_output=True,
        encoding="utf-8",
        errors="replace",
        env=environment,
        cwd=folder,
        check=False,
    )
    lines = done.stdout.strip().splitlines()
    if done.returncode or not lines:
        said = done.stderr.strip().splitlines() or ["nothing"]
        raise UserError(f"a process of the benchmark ended with code {done.returncode} and said: {said[-1]}")
    return lines[-1]


def surroundings(threads: int, *, peer: bool = False) -> dict[str, str]:
    """The environment of a side: as many threads for each, and for a peer none of our settings."""
    environment = {**os.environ, "OMP_NUM_THREADS": str(threads)}
    if peer:
        environment["PYTHONDONTWRITEBYTECODE"] = "1"  # its folder stays as the user has it
    # What `spin_less` set in this process, and not the user.
    if peer and spins(environment) == "GOMP_SPINCOUNT=10000":
        del environment["GOMP_SPINCOUNT"]
    return environment
