"""The lines of a journal by their steps and each once, also where they were exchanged, moved or repeated in the file.

Who writes a journal numbers its lines (line.py), so an intact one is known by rising numbers, without parsing it. One
that was edited is named by chain.py; here it is made sure that nobody counts a row twice or draws a curve backwards.
Lines without numbers (runs before December 2026, other people's files) are believed as they stand.
"""

import os
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import BinaryIO

from chainrule.run.line import row_of, seal_of

NUMBER = re.compile(rb'"row": (\d{1,15}), "after": "[0-9a-f]{8}", "crc": "[0-9a-f]{8}"\}\r?\n?\Z')
# The longest that NUMBER matches.
NUMBER_BYTES = 72


class Numbers:
    """The numbers of lines taken one after the other."""

    def __init__(self) -> None:
        self.highest = 0

    def is_late(self, line: bytes) -> bool:
        """Whether a line with the same or a higher number came before it; False for one that tells none."""
        found = NUMBER.search(line, max(0, len(line) - NUMBER_BYTES))
        number = int(found[1]) if found else 0
        if number == self.highest + 1:
            self.highest = number
            return False
        # Only here, where it matters, is looked whether the line is whole: a number with a flipped bit is none.
        if not number or seal_of(line) is None:
            return False
        late = number <= self.highest
        self.highest = max(self.highest, number)
        return late


def are_in_order(lines: Iterable[bytes]) -> bool:
    """Whether none of the lines is late; as many are read as it takes."""
    numbers = Numbers()
    return not any(numbers.is_late(line) for line in lines)


def lines_in_order(stream: BinaryIO, word: bytes = b"") -> Iterator[bytes]:
    """The lines of the file with that word; the whole file is held against its numbers before the first is given.

    Of a file that is out of order only the rows are given, sorted by step; memory is some hundred bytes for each.
    """
    stream.seek(0)
    in_order = are_in_order(line for line in stream if word in line)
    stream.seek(0)
    if in_order:
        yield from (line for line in stream if word in line)
        return
    for _, place in sorted(_places(stream, word)):
        stream.seek(place)
        yield stream.readline()


def sorted_lines(lines: Sequence[bytes]) -> list[bytes]:
    """Those of the lines that are rows, by step, each once."""
    return [line for _, _, line in sorted(_rows(lines), key=lambda one: one[:2])]


def end_in_order(lines: Iterable[bytes], most_bytes: int) -> Iterator[bytes]:
    """Lines of a file from its last to its first; of the first `most_bytes` the order and repetitions are put right.

    What is asked for of the end alone (the last row, the last events) is right with that, and the rest is not read.
    """
    source, held, size = iter(lines), list[bytes](), 0
    for line in source:
        held.append(line)
        size += len(line)
        if size >= most_bytes:
            break
    yield from held if are_in_order(reversed(held)) else reversed(sorted_lines(held[::-1]))
    yield from source


def last_bytes(stream: BinaryIO, most_bytes: int) -> Iterator[bytes]:
    """The lines that begin in the last `most_bytes` of the file."""
    size = stream.seek(0, os.SEEK_END)
    stream.seek(max(0, size - most_bytes))
    if size > most_bytes:
        stream.readline()
    return iter(stream)


def _places(stream: BinaryIO, word: bytes) -> Iterator[tuple[int, int]]:
    """Step and place in the file of each row, once."""
    place = 0

    def placed() -> Iterator[bytes]:
        nonlocal place
        for line in stream:
            yield line if word in line else b""
            place += len(line)

    for step, _, _ in _rows(placed()):
        yield step, place


def _rows(lines: Iterable[bytes]) -> Iterator[tuple[int, int, bytes]]:
    """(step, how many lines came before, line) of each row, once; a row without a step has that of the row before."""
    seen, step = set[tuple[int, str]](), 0
    for place, line in enumerate(lines):
        row = row_of(line) if line else None
        if row is None:
            continue
        seal = seal_of(line)
        if seal is not None and seal.number:
            if (seal.number, seal.crc) in seen:
                continue
            seen.add((seal.number, seal.crc))
        step = row.get("step", step)
        yield step, place, line
