"""What the lines of a journal are, and whether each follows the one before it: none missing, repeated, out of place."""

import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from chainrule.base import disk_faults
from chainrule.run.line import NOTHING, Seal, has_checksum, row_of, seal_of

BLOCK_BYTES = 1 << 20
NAMED_LINES = 5
STEP = re.compile(rb'"step": (\d{1,18})')


@dataclass(frozen=True)
class JournalLines:
    """What the lines of a journal are; those that are not as they were written by their numbers, from 1."""

    name: str
    n_rows: int = 0
    n_unsealed: int = 0
    """Rows without a checksum, from before there were any."""
    n_unlinked: int = 0
    """Rows that do not say which row they follow, from before they did; those without a checksum among them."""
    damaged: tuple[int, ...] = ()
    torn: int | None = None
    """The last line, half written by a kill."""
    gaps: tuple[tuple[int, int], ...] = ()
    """Lines before which rows are missing, and how many."""
    repeated: tuple[int, ...] = ()
    misplaced: tuple[int, ...] = ()
    """Lines that stand behind rows which were written after them."""
    foreign: tuple[int, ...] = ()
    """Lines that were not written behind the row before them: of another run, or put there by hand."""

    no_file: bool = False
    """Whether something else stands in its place: a folder, a pipe, a link that leads nowhere."""

    @property
    def n_wrong(self) -> int:
        """Lines that are damaged or not in their place; 1 for what is no file."""
        return self.no_file + sum(map(len, (self.damaged, self.gaps, self.repeated, self.misplaced, self.foreign)))

    @property
    def wrong(self) -> str:
        """What is not as it was written, in words: "lines 3, 17 of metrics.jsonl are damaged"; empty where all is."""
        parts = [
            f"{self.name} is no file: a folder, a pipe, or a link that leads nowhere" if self.no_file else "",
            _told(self.damaged, self.name, "is damaged", "are damaged"),
            _told(self.repeated, self.name, "repeats an earlier row", "repeat earlier rows"),
            _told(self.misplaced, self.name, "stands behind later rows", "stand behind later rows"),
            _told(self.foreign, self.name, *(f"{one} not written behind the row before" for one in ("was", "were"))),
        ]
        missing, lines = sum(n for _, n in self.gaps), [line for line, _ in self.gaps]
        if self.gaps:
            rows = "a row is" if missing == 1 else f"{missing:,} rows are"
            parts.append(f"{rows} missing before {_lines(lines)} of {self.name}")
        if self.torn is not None:
            parts.append(f"the last line of {self.name} ({self.torn:,}) is half written, as a kill leaves it")
        return " and ".join(part for part in parts if part)


def journal_lines(path: Path, *, before: int | None = None, most_bytes: int | None = None) -> JournalLines:
    """What all lines are, or only those up to the first row of step `before`; nothing of a file that is not there.

    What stands behind that step is made again by a run that goes on from it. With `most_bytes` the lines in so many
    bytes at the end alone are looked at.
    """
    found = LinesSoFar(path.name)
    if path.is_file():
        with disk_faults(path, "reading"), path.open("rb") as stream:
            first = _skipped(stream, most_bytes)
            found.begins_inside = first > 1
            for number, line in enumerate(stream, first):
                if before is not None and _is_beyond(line, before):
                    break
                found.take(number, line)
    elif os.path.lexists(path):
        return JournalLines(path.name, no_file=True)
    return found.judged()


@dataclass
class LinesSoFar:
    """Lines taken one after the other, from any place on, in memory that grows with what is wrong alone."""

    name: str
    n_rows: int = 0
    n_unsealed: int = 0
    n_unlinked: int = 0
    damaged: list[int] = field(default_factory=list)
    torn: int | None = None
    repeated: list[int] = field(default_factory=list)
    misplaced: list[int] = field(default_factory=list)
    foreign: list[int] = field(default_factory=list)
    gaps: list[tuple[int, range]] = field(default_factory=list)
    begins_inside: bool = False
    highest: Seal = NOTHING
    """Of the line with the highest number; of a line without one, as long as none has."""
    n_unread: int = 0
    """Lines since then that could not be read: one row each, or half a row."""

    def take(self, number: int, line: bytes) -> None:
        """The next line, whose number in the file is given."""
        seal = seal_of(line)
        if seal is not None:
            self.n_rows += 1
            self._place(number, seal)
        elif not has_checksum(line) and row_of(line) is not None:
            self.n_rows, self.n_unsealed = self.n_rows + 1, self.n_unsealed + 1
            self._unlinked(number)
        elif not line.endswith(b"\n"):
            self.torn = number
        elif line.strip():
            self.damaged.append(number)
            self.n_unread += 1

    def judged(self) -> JournalLines:
        """What the lines are that were taken."""
        gaps = tuple((line, len(rows)) for line, rows in self.gaps if rows)
        numbers = tuple(map(tuple, (self.damaged, self.repeated, self.misplaced, self.foreign)))
        damaged, repeated, misplaced, foreign = numbers
        counts = (self.n_rows, self.n_unsealed, self.n_unlinked)
        return JournalLines(self.name, *counts, damaged, self.torn, gaps, repeated, misplaced, foreign)

    def _unlinked(self, number: int) -> None:
        self.n_unlinked += 1
        if self.highest.number:
            # Behind linked lines none is written without a link.
            self.foreign.append(number)
            self.n_unread += 1

    def _place(self, number: int, seal: Seal) -> None:
        highest = self.highest
        if not seal.number:
            self._unlinked(number)
            self.highest = highest if highest.number else seal
            return
        if self.begins_inside and not highest.number:
            self.highest = seal
        elif seal.number <= highest.number:
            (self.misplaced if self._fill_gap(seal.number) else self.repeated).append(number)
        else:
            missing = range(highest.number + 1, seal.number - self.n_unread)
            if missing:
                self.gaps.append((number, missing))
            elif seal.number == highest.number + 1 and seal.after != highest.crc:
                self.foreign.append(number)
            self.highest, self.n_unread = seal, 0

    def _fill_gap(self, number: int) -> bool:
        for place, (line, rows) in enumerate(self.gaps):
            if number in rows:
                # Two gaps where there was one: what is left of it on both sides.
                halves = (range(rows.start, number), range(number + 1, rows.stop))
                self.gaps[place : place + 1] = [(line, half) for half in halves if half]
                return True
        return False


def _skipped(stream: BinaryIO, most_bytes: int | None) -> int:
    """Goes to the first line that begins in the last `most_bytes`; returns its number."""
    size = stream.seek(0, os.SEEK_END)
    stream.seek(0)
    if most_bytes is None or size <= most_bytes:
        return 1
    number = 1 + sum(block.count(b"\n") for block in _blocks(stream, size - most_bytes))
    stream.readline()
    return number + 1


def _blocks(stream: BinaryIO, n_bytes: int) -> Iterator[bytes]:
    while n_bytes > 0 and (block := stream.read(min(BLOCK_BYTES, n_bytes))):
        yield block
        n_bytes -= len(block)


def _is_beyond(line: bytes, step: int) -> bool:
    # A row is parsed only where it can be: that takes ten times as long as looking.
    if not any(int(found) >= step for found in STEP.findall(line)):
        return False
    row = row_of(line)
    return row is not None and row.get("step", 0) >= step


def _told(lines: Sequence[int], name: str, one: str, many: str) -> str:
    return f"{_lines(lines)} of {name} {one if len(lines) == 1 else many}" if lines else ""


def _lines(lines: Sequence[int]) -> str:
    shown, more = lines[:NAMED_LINES], len(lines) - NAMED_LINES
    numbers = ", ".join(f"{number:,}" for number in shown) + (f" and {more:,} more" if more > 0 else "")
    return f"line{'' if len(lines) == 1 else 's'} {numbers}"
