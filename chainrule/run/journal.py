"""Append-only JSON lines: they survive a kill, can be followed while they grow, and are cut back on a resume."""

import json
import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from chainrule.base import disk_faults, finite, write_bytes
from chainrule.run.sound import sound_row


def append_row(path: Path, row: Mapping[str, Any]) -> None:
    """Adds one line; NaN and infinity are written as null, because JSON has neither."""
    line = json.dumps(finite(row), ensure_ascii=False, allow_nan=False) + "\n"
    with disk_faults(path, "appending to"), path.open("ab") as stream:
        # One write call: a reader sees no half of it, and only a kill inside the call can tear it.
        stream.write(line.encode("utf-8", "backslashreplace"))


def read_rows(path: Path) -> Iterator[dict[str, Any]]:
    """The rows of the file in order; nothing when it is absent.

    A torn line (a kill while writing) is passed over, and so is one whose step is no number; of the others each value
    is of its kind, or gone (sound.py).
    """
    if not path.is_file():
        return
    with path.open("rb") as stream:
        for line in stream:
            try:
                row = json.loads(line)
            except (ValueError, RecursionError):
                continue
            if (sound := sound_row(row)) is not None:
                yield sound


def cut_after_step(path: Path, step: int) -> int:
    """Removes rows whose "step" is beyond `step` (and torn lines), atomically; returns how many went."""
    return rewrite_rows(path, lambda row: row.get("step", 0) <= step)


def rewrite_rows(path: Path, wanted: Callable[[Mapping[str, Any]], bool]) -> int:
    """Removes the rows that are not wanted (and torn lines), atomically; returns how many went."""
    if not path.is_file():
        return 0
    rows = list(read_rows(path))
    kept = [row for row in rows if wanted(row)]
    ended = path.stat().st_size == 0 or _last_byte(path) == b"\n"
    if len(kept) < len(rows) or not ended:
        write_bytes(path, "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in kept).encode())
    return len(rows) - len(kept)


def _last_byte(path: Path) -> bytes:
    with path.open("rb") as stream:
        stream.seek(-1, os.SEEK_END)
        return stream.read(1)
