"""Append-only JSON lines: they survive a kill, can be followed while they grow, and are cut back on a resume.

Each line has a checksum (line.py): one that is not as it was written is left in the file, and not used. A journal may
hold a row for each of a million steps. So nothing here holds a whole file, and what concerns its end is read from the
end.
"""

import os
from bisect import bisect_left, insort
from collections.abc import Callable, Iterable, Iterator, Mapping
from io import FileIO
from pathlib import Path
from typing import Any, BinaryIO

from chainrule.base import disk_faults, finite, whole_file
from chainrule.run.in_order import are_in_order, end_in_order, last_bytes, lines_in_order
from chainrule.run.line import NOTHING, Seal, has_checksum, row_of, seal_of, sealed_line

Row = Mapping[str, Any]
BLOCK_BYTES, MOST_BLOCK_BYTES = 1 << 16, 1 << 22
# What is read to know which row a new one follows: a row of figures has some hundred bytes.
LAST_BYTES = 1 << 12
# So much of the end is held against its numbers before a journal is cut from its end: half a second at the most.
ORDER_BYTES = 8 << 20


def append_row(path: Path, row: Mapping[str, Any]) -> None:
    """Adds one line; NaN and infinity are written as null, because JSON has neither.

    A disk that refuses a part of it leaves nothing of it: half a line would swallow the next one. Behind half a line
    that a kill left a new one begins, and follows the last one that is whole.
    """
    content = finite(row)
    with disk_faults(path, "appending to"), path.open("a+b", buffering=0) as stream:
        line = sealed_line(content, _last_seal(stream))
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
    """The rows of the file by their steps and each once (in_order.py), or those of one kind; nothing when it is absent.

    A torn line (a kill while writing) is passed over, and so is one whose step is no whole number; what the others hold
    is as it stands there. Rows of other kinds are not parsed: a few looks are found among a million steps in a second.
    """
    if not path.is_file():
        return
    with path.open("rb") as stream:
        yield from parsed_rows(lines_in_order(stream, _word(kind)), kind)


def rows_before_damage(path: Path) -> Iterator[dict[str, Any]]:
    """The rows up to the first line that is none, or does not follow the one before it."""
    if not path.is_file():
        return
    last = NOTHING
    with path.open("rb") as stream:
        for line in stream:
            row, seal = row_of(line), seal_of(line) or NOTHING
            follows = seal.number == last.number + 1 and seal.after == last.crc
            if row is None or not (follows or seal.number == last.number == 0):
                return
            yield row
            last = seal


def rows_from_end(path: Path, kind: str | None = None) -> Iterator[dict[str, Any]]:
    """The rows of the file, or those of one kind, the last first: only what is asked for is read.

    Exchanged, moved and repeated rows are put right in the last 64 KiB; `read_rows` does it for all.
    """
    if path.is_file():
        yield from parsed_rows(end_in_order((line for _, line in _lines_from_end(path)), BLOCK_BYTES), kind)


def end_of(path: Path) -> Seal:
    """The seal of the last row that can be read; that of nothing in a file without linked rows."""
    if not path.is_file():
        return NOTHING
    with path.open("rb") as stream:
        return _last_seal(stream)


def holds(path: Path, seal: Seal) -> bool:
    """Whether the row with that number is the one that had that checksum; only the end behind it is read."""
    if path.is_file():
        for _, line in _lines_from_end(path):
            found = seal_of(line)
            if found is not None and found.number <= seal.number:
                return found.number == seal.number and found.crc == seal.crc
    return False


def cut_after_step(path: Path, step: int) -> int:
    """Removes rows whose "step" is beyond `step` (and a torn end); returns how many went."""
    return rewrite_rows(path, lambda row: row.get("step", 0) <= step, since=step + 1)


def rewrite_rows(path: Path, wanted: Callable[[Row], bool], *, since: int) -> int:
    """Removes the rows that are not wanted from step `since` on (and a torn end); returns how many went.

    Steps rise in a journal, so only its end is read, back to the last row of an earlier step, and all before it stays
    as it is, damaged lines too; behind it they go. In one whose end is out of order a later row may stand anywhere: it
    is read whole. A kill leaves the old file or the new one.
    """
    if not path.is_file():
        return 0
    head, before, rows = _end_of(path, since)
    beyond = next((place for place, (_, row) in enumerate(rows) if row and row.get("step", 0) >= since), len(rows))
    stay = [place < beyond if row is None else wanted(row) for place, (_, row) in enumerate(rows)]
    kept = _linked_anew([line for line, _ in rows], stay, before)
    size = head + sum(map(len, kept))
    if size != path.stat().st_size:
        with disk_faults(path, "cutting back"):
            if kept:
                _replace_end(path, head, kept)
            else:
                os.truncate(path, head)
    return sum(row is not None and not stays for (_, row), stays in zip(rows, stay, strict=True))


def _linked_anew(lines: list[bytes], stay: list[bool], before: Seal) -> list[bytes]:
    """The lines that stay, each linked to the one that is now before it; what did not fit before does not now."""
    kept, gone, old, new = [], list[int](), before, before
    for line, stays in zip(lines, stay, strict=True):
        seal = seal_of(line)
        # Of lines that are out of order only those that were written before it lower its number.
        lower = bisect_left(gone, seal.number) if seal is not None else 0
        if stays and lower and seal is not None:
            follows = new.crc if seal.after == old.crc else seal.after
            line = sealed_line(row_of(line) or {}, Seal(seal.number - lower - 1, "", follows))
        if stays:
            kept.append(line)
            new = seal_of(line) or new
        elif seal is not None and seal.number and seal.number not in gone[-1:]:
            insort(gone, seal.number)
        old = seal or old
    return kept


def _end_of(path: Path, since: int) -> tuple[int, Seal, list[tuple[bytes, dict[str, Any] | None]]]:
    """Where the last row of a step before `since` ends, its seal, and the lines after it, whole, with their rows."""
    lines: list[tuple[bytes, dict[str, Any] | None]] = []
    with path.open("rb") as stream:
        in_order = are_in_order(last_bytes(stream, ORDER_BYTES))
    for end, line in _lines_from_end(path):
        row = row_of(line)
        step = None if row is None else row.get("step")
        whole = line.endswith(b"\n")
        if whole and isinstance(step, int) and step < since and in_order:
            return end, seal_of(line) or NOTHING, lines[::-1]
        if whole or row is not None:
            lines.append((line if whole else line + b"\n", row))
    return 0, NOTHING, lines[::-1]


def _replace_end(path: Path, head: int, lines: list[bytes]) -> None:
    """The first `head` bytes and these lines in a new file, which then takes the place of the old one."""
    with path.open("rb") as old, whole_file(path) as new:
        while head > 0 and (block := old.read(min(BLOCK_BYTES, head))):
            new.write(block)
            head -= len(block)
        new.writelines(lines)


def parsed_rows(lines: Iterable[bytes], kind: str | None = None) -> Iterator[dict[str, Any]]:
    """The lines that are rows, or rows of that kind; others are passed over."""
    word = _word(kind)
    for line in lines:
        if word not in line:
            continue
        row = row_of(line)
        if row is not None and (kind is None or row.get("kind") == kind):
            yield row


def _word(kind: str | None) -> bytes:
    """What stands in every line of that kind."""
    return b"" if kind is None else f'"{kind}"'.encode()


def _last_seal(stream: BinaryIO | FileIO) -> Seal:
    """The seal that the next line follows: the highest number in the last lines; behind unsealed rows number 1 comes.

    The highest and not the last: where an earlier row was put behind the others, a number that is there already would
    come again, and the new row would be taken for that one.
    """
    highest, size = NOTHING, 0
    for _, line in _from_end(stream, LAST_BYTES):
        seal = seal_of(line)
        if seal is not None and (highest is NOTHING or seal.number > highest.number):
            highest = seal
        size += len(line)
        if size >= LAST_BYTES // 2 and (
            highest is not NOTHING or (not has_checksum(line) and row_of(line) is not None)
        ):
            break
    return highest


def _lines_from_end(path: Path) -> Iterator[tuple[int, bytes]]:
    """The lines of the file, the last first, each with the place where it ends."""
    with path.open("rb") as stream:
        yield from _from_end(stream, BLOCK_BYTES)


def _from_end(stream: BinaryIO | FileIO, block_bytes: int) -> Iterator[tuple[int, bytes]]:
    place = stream.seek(0, os.SEEK_END)
    held = b""
    while place:
        size = min(block_bytes, place)
        place -= size
        stream.seek(place)
        lines = (stream.read(size) + held).splitlines(keepends=True)
        held = lines[0]
        end = place + sum(map(len, lines))
        for line in reversed(lines[1:]):
            yield end, line
            end -= len(line)
        # A line of many blocks is not put together anew for each of them.
        block_bytes = min(2 * block_bytes, MOST_BLOCK_BYTES) if len(held) > block_bytes else block_bytes
    if held:
        yield len(held), held
