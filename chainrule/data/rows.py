"""Structured rows (.jsonl, .csv, .tsv, .parquet) to documents.

To add a format: a function here, a line in ROWS and a suffix in formats.py.
"""

import csv
import json
from collections.abc import Callable, Iterator
from typing import NamedTuple

from chainrule.base import DataError
from chainrule.config import TextConfig
from chainrule.data.arrow import largest_chunk_bytes, parquet_columns, parquet_rows
from chainrule.data.fields import Fields, absent, text_builder, wanted_fields
from chainrule.data.lines import MOST_LINE_BYTES, decoded_lines
from chainrule.data.pieces import Piece
from chainrule.data.streams import ByteStream
from chainrule.data.text import row_pieces


class Row(NamedTuple):
    """One row, or what is wrong with it."""

    place: str
    fields: Fields | None
    fault: str = ""
    """What is wrong, without the place; the row is left out, or an error."""
    invalid: int = 0
    """Places of invalid UTF-8 in it."""


def row_documents(stream: ByteStream, config: TextConfig) -> Iterator[Piece]:
    """The documents of a structured file, one for each row; for malformed rows, `on_bad` = replace means skip."""
    build = text_builder(config)
    for row in ROWS[stream.file.kind](stream, config):
        text, fault = build(row.fields) if row.fields is not None else (None, row.fault)
        if text is not None:
            yield from row_pieces(text, row.place, config.on_bad, row.invalid)
        elif config.on_bad == "error":
            raise DataError(f"{row.place}: {fault}; mend it, or set text.on_bad to skip")
        else:
            yield Piece(b"", True, f"{row.place}: {fault}", row.invalid)


def _jsonl(stream: ByteStream, config: TextConfig) -> Iterator[Row]:
    for number, line in decoded_lines(stream, config.on_bad):
        place = f"{stream.name}:{number}"
        if line.bad is not None:
            yield Row(place, None, line.bad.removeprefix(f"{place}: "), line.invalid)
        elif not line.content.isspace():
            yield _parsed(place, line)


def _parsed(place: str, line: Piece) -> Row:
    try:
        row = json.loads(line.content)
    except (ValueError, RecursionError) as fault:
        return Row(place, None, f"malformed JSON ({fault or 'nested too deeply'})")
    if not isinstance(row, dict):
        return Row(place, None, f"the line holds a JSON {type(row).__name__}, not an object")
    return Row(place, row, "", line.invalid)


def _csv(stream: ByteStream, config: TextConfig) -> Iterator[Row]:
    """Rows of a table whose first line names the columns; quoted values may span lines."""
    left_out: list[Row] = []
    invalid = 0

    def lines() -> Iterator[str]:
        nonlocal invalid
        for number, line in decoded_lines(stream, config.on_bad):
            if line.bad is not None:
                place = f"{stream.name}:{number}"
                left_out.append(Row(place, None, line.bad.removeprefix(f"{place}: "), line.invalid))
            else:
                invalid += line.invalid
                yield line.content.decode()

    # csv's limit of 128 KiB for a value is one for the whole process; a document may be longer.
    csv.field_size_limit(MOST_LINE_BYTES)
    table = csv.reader(lines(), delimiter="\t" if stream.file.kind == "tsv" else ",", strict=True)
    columns: list[str] | None = None
    try:
        for values in table:
            place = f"{stream.name}:{table.line_num + len(left_out)}"
            if columns is None:
                columns = values
                _refuse_absent(stream.name, columns, config)
            elif len(values) == len(columns):
                yield Row(place, dict(zip(columns, values, strict=True)), "", invalid)
                invalid = 0
            elif values:
                yield Row(place, None, f"{len(values)} values for {len(columns)} columns")
    except csv.Error as fault:
        raise DataError(f"{stream.name}:{table.line_num + len(left_out)}: malformed CSV: {fault}") from fault
    yield from left_out


def _parquet(stream: ByteStream, config: TextConfig) -> Iterator[Row]:
    wanted = wanted_fields(config)
    with stream.seekable() as raw:
        opened, columns = parquet_columns(raw, stream.name)
        _refuse_absent(stream.name, columns, config)
        stream.refuse_bomb(largest_chunk_bytes(opened, wanted))
        unfolded = 0
        for number, row in enumerate(parquet_rows(opened, wanted, stream.name), start=1):
            unfolded += sum(len(value) for value in row.values() if isinstance(value, str))
            stream.refuse_bomb(unfolded)
            stream.consumed = stream.file.size * number // opened.metadata.num_rows
            yield Row(f"{stream.name}: row {number}", row)


def _refuse_absent(name: str, columns: list[str], config: TextConfig) -> None:
    """A table without the column has no document at all, whatever `on_bad` says."""
    for wanted in wanted_fields(config):
        if wanted not in columns:
            raise DataError(f"{name}: {absent(wanted, dict.fromkeys(columns))}")


ROWS: dict[str, Callable[[ByteStream, TextConfig], Iterator[Row]]] = {
    "jsonl": _jsonl,
    "csv": _csv,
    "tsv": _csv,
    "parquet": _parquet,
}
