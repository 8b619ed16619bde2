"""Append-only JSON lines: they survive a kill, can be followed while they grow, and are cut back on a resume.

A journal may hold a row for each of a million steps. So nothing here holds a whole file, and what concerns its end is
read from the end.
"""

import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from chainrule.base import disk_faults, finite, whole_file
from chainrule.run.sound import json_value

Row = Mapping[str, Any]
BLOCK_BYTES = 1 << 16
# A row whose place in the run is unknown is no row: by its step a resume cuts, by its tokens curves are drawn.
PLACE = ("step", "tokens")


def append_row(path: Path, row: Mapping[str, Any]) -> None:
    """Adds one line; NaN and infinity are written as null, because JSON has neither.

    A disk that refuses a part of it leaves nothing of it: half a line would swallow the next one. Behind half a line
    that a kill left a new one begins.
    """
    line = _line(finite(row))
    with disk_faults(path, "appending to"), path.open("a+b", buffering=0) as stream:
        end = stream.seek(0, os.SEEK_END)
        if end and (stream.seek(end - 1), stream.read(1))[1] != b"\n":
            line = b"\n" + line
        try:
            # One write call: a reader sees no half of it, and only a kill inside the call can tear it. A full disk
            # takes a part, and refuses the rest by the next call.
            while line:
                line = line[stream.write(line) :]
        except OSError:
            stream.truncate(end)
            raise


def read_rows(path: Path, kind: str | None = None) -> Iterator[dict[str, Any]]:
    """The rows of the file in order, or those of one kind; nothing when it is absent.

    A torn line (a kill while writing) is passed over, and so is one whose step is no whole number; what the others hold
    is as it stands there. Rows of other kinds are not parsed: a few looks are found among a million steps in a second.
    """
    if not path.is_file():
        return
    with path.open("rb") as stream:
        yield from parsed_rows(stream, kind)


def rows_from_end(path: Path, kind: str | None = None) -> Iterator[dict[str, Any]]:
    """The rows of the file, or those of one kind, the last first: only what is asked for is read."""
    if path.is_file():
        yield from parsed_rows((line for _, line in _lines_from_end(path)), kind)


def damaged_rows(path: Path, *, before: int | None = None) -> int:
    """How many whole lines cannot be read as rows, up to the first row of step `before`; a torn end is none of them.

    What stands behind that step is made again by a run that goes on from it.
    """
    if not path.is_file():
        return 0
    count = 0
    with path.open("rb") as stream:
        for line in stream:
            row = _row(line)
            if row is None:
                count += line.endswith(b"\n") and line != b"\n"
            elif before is not None and row.get("step", 0) >= before:
                break
    return count


def cut_after_step(path: Path, step: int) -> int:
    """Removes rows whose "step" is beyond `step` (and a torn end); returns how many went."""
    return rewrite_rows(path, lambda row: row.get("step", 0) <= step, since=step + 1)


def rewrite_rows(path: Path, wanted: Callable[[Row], bool], *, since: int) -> int:
    """Removes the rows that are not wanted from step `since` on (and a torn end); returns how many went.

    Steps rise in a journal, so only its end is read, back to the last row of an earlier step, and all before it stays
    as it is. A kill leaves the old file or the new one.
    """
    if not path.is_file():
        return 0
    head, rows = _end_of(path, since)
    kept = [line for line, row in rows if row is not None and wanted(row)]
    size = head + sum(map(len, kept))
    if size != path.stat().st_size:
        with disk_faults(path, "cutting back"):
            if kept:
                _replace_end(path, head, kept)
            else:
                os.truncate(path, head)
    return sum(row is not None for _, row in rows) - len(kept)


def _end_of(path: Path, since: int) -> tuple[int, list[tuple[bytes, dict[str, Any] | None]]]:
    """Where the last row of a step before `since` ends, and the lines after it, whole, with their rows."""
    lines: list[tuple[bytes, dict[str, Any] | None]] = []
    for end, line in _lines_from_end(path):
        row = _row(line)
        step = None if row is None else row.get("step")
        whole = line.endswith(b"\n")
        if whole and isinstance(step, int) and step < since:
            return end, lines[::-1]
        lines.append((line if whole else line + b"\n", row))
    return 0, lines[::-1]


def _replace_end(path: Path, head: int, lines: list[bytes]) -> None:
    """The first `head` bytes and these lines in a new file, which then takes the place of the old one."""
    with path.open("rb") as old, whole_file(path) as new:
        while head > 0 and (block := old.read(min(BLOCK_BYTES, head))):
            new.write(block)
            head -= len(block)
        new.writelines(lines)


def parsed_rows(lines: Iterable[bytes], kind: str | None = None) -> Iterator[dict[str, Any]]:
    """The lines that are rows, or rows of that kind; others are passed over."""
    word = None if kind is None else f'"{kind}"'.encode()
    for line in lines:
        if word is not None and word not in line:
            continue
        row = _row(line)
        if row is not None and (kind is None or row.get("kind") == kind):
            yield row


def _lines_from_end(path: Path) -> Iterator[tuple[int, bytes]]:
    """The lines of the file, the last first, each with the place where it ends."""
    with path.open("rb") as stream:
        place = stream.seek(0, os.SEEK_END)
        held = b""
        while place:
            size = min(BLOCK_BYTES, place)
            place -= size
            stream.seek(place)
            lines = (stream.read(size) + held).splitlines(keepends=True)
            held = lines[0]
            end = place + sum(map(len, lines))
            for line in reversed(lines[1:]):
                yield end, line
                end -= len(line)
        if held:
            yield len(held), held


def _row(line: bytes) -> dict[str, Any] | None:
    try:
        row = json_value(line)
    except ValueError:
        return None
    is_row = isinstance(row, dict) and all(type(row[key]) is int for key in PLACE if key in row)
    return row if is_row else None


def _line(row: Any) -> bytes:
    return (json.dumps(row, ensure_ascii=False, allow_nan=False) + "\n").encode("utf-8", "backslashreplace")
