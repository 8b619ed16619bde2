"""Tables as text (.csv, .tsv) to rows; a row that is malformed costs that row and no other."""

import csv
import re
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from chainrule.data.lines import MOST_LINE_BYTES
from chainrule.data.pieces import Piece

DELIMITERS, DELIMITER_BYTES = (",", ";", "\t", "|"), 1 << 16
SEPARATOR_LINE = re.compile(r"\ufeff?sep=([,;|\t])[\r\n]*")


class TableRow(NamedTuple):
    """The values of a row and its first line's number, or what is wrong with it."""

    number: int
    values: list[str]
    fault: str
    invalid: int
    mended: str | None


def table_rows(lines: Iterable[tuple[int, Piece]], delimiter: str) -> Iterator[TableRow]:
    """The rows in order, the names of the columns first; quoted values may span lines.

    A malformed row is its first line alone: reading goes on with the line after it, because a quote that is never
    closed would else swallow the rest of the file. No more than MOST_LINE_BYTES are looked through for its end.
    """
    # csv's limit of 128 KiB for a value is one for the whole process; a document may be longer.
    csv.field_size_limit(MOST_LINE_BYTES)
    source = _Lines(lines)
    table = csv.reader(source, delimiter=delimiter, strict=True)
    while True:
        number, values, fault = source.number, list[str](), ""
        try:
            values = next(table)
        except StopIteration:
            return
        except csv.Error as found:
            fault = _told(str(found), len(source.taken) - 1)
            source.give_back_all_but_the_first()
            table = csv.reader(source, delimiter=delimiter, strict=True)
        yield TableRow(number, values, fault, *source.row_done())


def delimiter_of(head: str, wanted: Sequence[str]) -> str:
    """What parts the columns of a table that begins so: a comma, a semicolon, a tab or a bar.

    The one by which all wanted columns are found in the first line; else the one that gives most columns there and as
    many in the second line, which is the comma where nothing else is.
    """
    named = SEPARATOR_LINE.match(head)
    if named:
        return named.group(1)
    lines = head.split("\n", 20)
    first, second = ([*lines, "", ""][index] for index in (0, 1))
    parted = {sign: _fields(first, sign) for sign in DELIMITERS}
    holding = [sign for sign, columns in parted.items() if wanted and set(wanted) <= set(columns)]
    if holding:
        # A table of one column is the same by all of them.
        return max(holding, key=lambda sign: len(parted[sign]))
    even = [sign for sign in DELIMITERS if sign == "," or len(_fields(second, sign)) == len(parted[sign])]
    return max(even, key=lambda sign: len(parted[sign]))


def _fields(line: str, delimiter: str) -> list[str]:
    try:
        return next(csv.reader([line.rstrip("\r\n")], delimiter=delimiter), [])
    except csv.Error:
        return []


class _Lines:
    """An iterator over text that remembers the lines of the row that is being read, and can give lines again."""

    def __init__(self, lines: Iterable[tuple[int, Piece]]) -> None:
        self.number = 1
        """Of the next line."""
        self.taken: list[bytes] = []
        self._lines = iter(lines)
        self._again: deque[bytes] = deque()
        # Apart from the lines, because a value may span a million lines and hardly any is mended.
        self._mended: dict[int, Piece] = {}

    def __iter__(self) -> "_Lines":
        return self

    def __next__(self) -> str:
        if self._again:
            content = self._again.popleft()
        else:
            number, piece = next(self._lines)
            content = piece.content
            if piece.mended:
                self._mended[number] = piece
        self.taken.append(content)
        self.number += 1
        return content.decode()

    def give_back_all_but_the_first(self) -> None:
        """The lines after the first of this row will be read again."""
        rest = self.taken[1:]
        self._again.extendleft(reversed(rest))
        self.number -= len(rest)
        del self.taken[1:]

    def row_done(self) -> tuple[int, str | None]:
        """How many places were mended in the lines of the row that ends here, and the first; begins the next row."""
        self.taken.clear()
        pieces = [self._mended.pop(number) for number in sorted(self._mended) if number < self.number]
        return sum(piece.invalid for piece in pieces), pieces[0].mended if pieces else None


def _told(fault: str, n_lines_more: int) -> str:
    if fault.startswith(("unexpected end", "field larger")):
        return "malformed CSV: a quote opens in this line and is not closed"
    where = f", {n_lines_more} lines further down" if n_lines_more else ""
    return f"malformed CSV: {fault}{where}"
