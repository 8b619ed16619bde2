"""Where verbs print: figures on standard output, everything said on the way on standard error."""

import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table

from chainrule.show import json_text


def say(message: str) -> None:
    """A line for the person, on standard error, so that standard output stays clean."""
    print(message, file=sys.stderr, flush=True)


def print_json(content: Mapping[str, Any]) -> None:
    """One object on standard output; NaN and infinity as null."""
    print(json_text(content))


def print_table(title: str, columns: Sequence[str], rows: Iterable[Sequence[str]], *, left: int = 1) -> None:
    """A table on standard output, the first `left` columns to the left, the others to the right."""
    table = Table(title=title or None, title_justify="left", box=None, pad_edge=False, header_style="bold")
    for place, column in enumerate(columns):
        table.add_column(column, justify="left" if place < left else "right", overflow="fold")
    for row in rows:
        table.add_row(*row)
    console().print(table)


def console() -> Console:
    """Standard output with colour where there is a terminal and NO_COLOR is not set; wide where there is none."""
    plain = Console(highlight=False, markup=False)
    return plain if plain.is_terminal else Console(highlight=False, markup=False, width=200)
