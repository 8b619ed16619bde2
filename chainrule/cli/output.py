"""The one place where verbs print: figures on standard output, everything said on the way on standard error.

Names come from folders, files and models of other people. Whatever goes out here is made harmless here, so that no verb
has to think of it.
"""

import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from chainrule.show import json_text, printable


def say(*lines: str, end: str = "\n") -> None:
    """Lines for the person, on standard error, so that standard output stays clean; a name breaks none of them."""
    # One text, which is one write: between two a Ctrl-C could come, and half of what is said is not.
    print("\n".join(map(_cell, lines)), end=end, file=sys.stderr, flush=True)


def put(text: object = "", *, end: str = "\n") -> None:
    """What the verb was asked for, on standard output, at once; a path is one line."""
    print(_cell(str(text)) if isinstance(text, Path) else printable(text), end=end, flush=True)


def put_line(text: str) -> None:
    """`put` of one line, whatever names stand in it."""
    put(_cell(text))


def print_json(content: Mapping[str, Any]) -> None:
    """One object on standard output; NaN and infinity as null."""
    print(json_text(content))


def print_table(title: str, columns: Sequence[str], rows: Iterable[Sequence[str]], *, left: int = 1) -> None:
    """A table on standard output, the first `left` columns to the left, the others to the right."""
    table = Table(title=printable(title) or None, title_justify="left", box=None, pad_edge=False, header_style="bold")
    for place, column in enumerate(columns):
        table.add_column(_cell(column), justify="left" if place < left else "right", overflow="fold")
    for row in rows:
        table.add_row(*map(_cell, row))
    _console().print(table)


def _cell(text: str) -> str:
    """The text on one line: a name with a line break in it makes no row and no message of its own."""
    return printable(text).replace("\n", "⏎")


def _console() -> Console:
    """Standard output with colour where there is a terminal and NO_COLOR is not set; wide where there is none."""
    plain = Console(highlight=False, markup=False)
    return plain if plain.is_terminal else Console(highlight=False, markup=False, width=200)
