"""Append-only JSON lines: they survive a kill, can be followed while they grow, and are cut back on a resume.

Each line has a checksum (line.py): one that is not as it was written is left in the file, and not used. A journal may
hold a row for each of a million steps. So nothing here holds a whole file, and what concerns its end is read from the
end.
"""

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path
from typing import Any

from chainrule.base import disk_faults, finite, whole_file
from chainrule.run.line import is_sealed, row_of, sealed_line

Row = Mapping[str, Any]
BLOCK_BYTES = 1 << 16
NAMED_LINES = 5


def append_row(path: Path, row: Mapping[str, Any]) -> None:
    """Adds one line; NaN and infinity are written as null, because JSON has neither.

    A disk that refuses a part of it leaves nothing of it: half a line would swallow the next one. Behind half a line
    that a kill left a new one begins.
    """
    line = sealed_line(finite(row))
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


def rows_before_damage(path: Path) -> Iterator[dict[str, Any]]:
    """The rows up to the first line that is none: where each follows from those before it."""
    if path.is_file():
        with path.open("rb") as stream:
            yield from takewhile(lambda row: row is not None, map(row_of, stream))


def rows_from_end(path: Path, kind: str | None = None) -> Iterator[dict[str, Any]]:
    """The rows of the file, or those of one kind, the last first: only what is asked for is read."""
    if path.is_file():
        yield from parsed_rows((line for _, line in _lines_from_end(path)), kind)


@dataclass(frozen=True)
class JournalLines:
    """What the lines of a journal are; those that are not used by their numbers, from 1."""

    name: str
    n_rows: int = 0
    n_unsealed: int = 0
    """Rows without a checksum, from before there were any."""
    damaged: tuple[int, ...] = ()
    torn: int | None = None
    """The last line, half written by a kill."""

    @property
    def unused(self) -> str:
        """What is not used, in words: "lines 3, 17 of metrics.jsonl are damaged"; empty where all are rows."""
        shown, more = self.damaged[:NAMED_LINES], len(self.damaged) - NAMED_LINES
        numbers = ", ".join(f"{number:,}" for number in shown) + (f" and {more:,} more" if more > 0 else "")
        parts = []
        if self.damaged:
            one = len(self.damaged) == 1
            parts.append(f"line{'' if one else 's'} {numbers} of {self.name} {'is' if one else 'are'} damaged")
        if self.torn is not None:
            parts.append(f"the last line of {self.name} ({self.torn:,}) is half written, as a kill leaves it")
        return " and ".join(parts)


def journal_lines(path: Path, *, before: int | None = None) -> JournalLines:
    """What all lines are, or only those up to the first row of step `before`; nothing of a file that is not there.

    What stands behind that step is made again by a run that goes on from it.
    """
    n_rows, n_unsealed, damaged, torn = 0, 0, list[int](), None
    if path.is_file():
        with path.open("rb") as stream:
            for number, line in enumerate(stream, 1):
                sealed = is_sealed(line)
                # What has its checksum is a row of ours: parsing it, too, would take ten times as long.
                row = row_of(line) if sealed is None or before is not None else None
                if row is not None or sealed:
                    if before is not None and row and row.get("step", 0) >= before:
                        break
                    n_rows, n_unsealed = n_rows + 1, n_unsealed + (sealed is None)
                elif not line.endswith(b"\n"):
                    torn = number
                elif line.strip():
                    damaged.append(number)
    return JournalLines(path.name, n_rows, n_unsealed, tuple(damaged), torn)


def cut_after_step(path: Path, step: int) -> int:
    """Removes rows whose "step" is beyond `step` (and a torn end); returns how many went."""
    return rewrite_rows(path, lambda row: row.get("step", 0) <= step, since=step + 1)


def rewrite_rows(path: Path, wanted: Callable[[Row], bool], *, since: int) -> int:
    """Removes the rows that are not wanted from step `since` on (and a torn end); returns how many went.

    Steps rise in a journal, so only its end is read, back to the last row of an earlier step, and all before it stays
    as it is, damaged lines too; behind it they go. A kill leaves the old file or the new one.
    """
    if not path.is_file():
        return 0
    head, rows = _end_of(path, since)
    beyond = next((place for place, (_, row) in enumerate(rows) if row and row.get("step", 0) >= since), len(rows))
    stay = [place < beyond if row is None else wanted(row) for place, (_, row) in enumerate(rows)]
    kept = [line for (line, _), stays in zip(rows, stay, strict=True) if stays]
    size = head + sum(map(len, kept))
    if size != path.stat().st_size:
        with disk_faults(path, "cutting back"):
            if kept:
                _replace_end(path, head, kept)
            else:
                os.truncate(path, head)
    return sum(row is not None and not stays for (_, row), stays in zip(rows, stay, strict=True))


def _end_of(path: Path, since: int) -> tuple[int, list[tuple[bytes, dict[str, Any] | None]]]:
    """Where the last row of a step before `since` ends, and the lines after it, whole, with their rows."""
    lines: list[tuple[bytes, dict[str, Any] | None]] = []
    for end, line in _lines_from_end(path):
        row = row_of(line)
        step = None if row is None else row.get("step")
        whole = line.endswith(b"\n")
        if whole and isinstance(step, int) and step < since:
            return end, lines[::-1]
        if whole or row is not None:
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
        row = row_of(line)
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
