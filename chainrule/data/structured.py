"""The rows of structured files as they are, each with its place: for whoever makes something else of them than text."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from chainrule.base import DataError
from chainrule.data.files import list_files
from chainrule.data.folders import shown
from chainrule.data.formats import BINARY, kind_and_codec
from chainrule.data.policy import DamagedFileError
from chainrule.data.rows import ROWS, Row
from chainrule.data.streams import opened


def structured_rows(paths: Sequence[str]) -> Iterator[Row]:
    """Every row of the files, in order, with all of its columns; one that is malformed has no fields and says why.

    Files are .jsonl, .json, .csv, .tsv or .parquet, also compressed. Raises DataError for a path that is not there, a
    file of another kind, and for the rest of a file that is damaged.
    """
    for file in list_files(paths).files:
        if file.kind not in ROWS:
            raise DataError(f"{shown(file.path)}: holds no rows; give a {', '.join(f'.{kind}' for kind in ROWS)} file")
        try:
            with opened(file) as stream:
                if file.kind not in BINARY:
                    stream.refuse_binary()
                yield from ROWS[file.kind](stream, None)
        except DamagedFileError as fault:
            raise DataError(str(fault)) from fault


def holds_rows(path: str | Path) -> bool:
    """Whether a file's name says that it has rows with columns, and is no running text."""
    return kind_and_codec(Path(path).name)[0] in ROWS
