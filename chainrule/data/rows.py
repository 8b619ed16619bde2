"""Structured rows (.jsonl, .json, .csv, .tsv, .parquet), and the documents made of them.

To add a format: a function here, a line in ROWS and a suffix in formats.py.
"""

import json
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from chainrule.base import refuse_crowded
from chainrule.config import TextConfig
from chainrule.data.arrow import largest_group_bytes, parquet_columns, parquet_rows, row_groups
from chainrule.data.conversations import CONVERSATIONS, dated_conversations
from chainrule.data.csv_rows import DELIMITER_BYTES, SEPARATOR_LINE, delimiter_of, table_rows
from chainrule.data.fields import Build, Fields, absent, first_key, rows_inside, text_builder, wanted_fields
from chainrule.data.json_rows import json_values
from chainrule.data.lines import decoded_lines
from chainrule.data.pieces import Piece
from chainrule.data.policy import DamagedFileError
from chainrule.data.streams import ByteStream
from chainrule.data.text import row_pieces

Wanted = TextConfig | None
"""What says which columns text is made of; None: all columns are wanted, as they are."""


class Row(NamedTuple):
    """One row, or what is wrong with it."""

    place: str
    fields: Fields | None
    fault: str = ""
    """What is wrong, without the place."""
    invalid: int = 0
    """Places of invalid UTF-8 in it."""
    mended: str | None = None
    """The first of them."""


def row_documents(stream: ByteStream, config: TextConfig) -> Iterator[Piece]:
    """The documents of a structured file, one for each row; a malformed row is a bad one."""
    build = text_builder(config)
    for row in ROWS[stream.file.kind](stream, config):
        text, fault = build(row.fields) if row.fields is not None else (None, row.fault)
        if text is not None:
            yield from row_pieces(text, row.place, row.invalid, row.mended)
        else:
            yield Piece(b"", True, f"{row.place}: {fault}", row.invalid)


def _jsonl(stream: ByteStream, config: Wanted) -> Iterator[Row]:
    for number, line in decoded_lines(stream):
        if not line.content.isspace():
            yield _parsed(f"{stream.name}:{number}", line)


def _parsed(place: str, line: Piece) -> Row:
    try:
        row = parsed_json(line.content)
    except ValueError as fault:
        return Row(place, None, str(fault), line.invalid)
    if not isinstance(row, dict):
        return Row(place, None, f"the line holds a JSON {type(row).__name__}, not an object", line.invalid)
    return Row(place, row, "", line.invalid, line.mended)


def parsed_json(content: bytes) -> Any:
    """What the JSON holds; raises ValueError saying what is wrong with it."""
    refuse_crowded(content)
    try:
        return json.loads(content)
    except RecursionError:
        raise ValueError("malformed JSON (nested too deeply)") from None
    except json.JSONDecodeError as fault:
        raise ValueError(f"malformed JSON ({fault})") from None
    except ValueError:
        # Python makes no integer of more than 4,300 digits; as a word it does no harm beside the text.
        return json.loads(content, parse_int=str)


def _json(stream: ByteStream, config: Wanted) -> Iterator[Row]:
    """Objects with the text in a field, texts by themselves, a list of either in one object, exports of chats."""
    build = text_builder(config) if config else None
    for number, value in json_values(stream):
        place = f"{stream.name}: value {number}"
        if config and build:
            yield from _json_rows(value, place, config, build)
        elif isinstance(value, dict):
            yield Row(place, value)
        else:
            yield Row(place, None, f"a JSON {type(value).__name__}, not an object")


def _json_rows(value: Any, place: str, config: TextConfig, build: Build) -> Iterator[Row]:
    """What text is made of in one value: itself, or the rows that it holds."""
    if isinstance(value, str):
        yield Row(place, {config.field: value})
    elif not isinstance(value, dict):
        yield Row(place, None, f"a JSON {type(value).__name__}, neither an object nor a text")
    elif texts := list(dated_conversations(value)):
        yield from (Row(place, {config.field: text}) for text in texts)
    elif build(value)[0] is None and (rows := rows_inside(value, build)):
        for number, row in enumerate(rows, start=1):
            inside = f"{place}, row {number}"
            if isinstance(row, str):
                yield Row(inside, {config.field: row})
            else:
                known = isinstance(row, dict)
                yield Row(
                    inside, row if known else None, "" if known else f"a JSON {type(row).__name__}, not an object"
                )
    else:
        yield Row(place, value)


def _csv(stream: ByteStream, config: Wanted) -> Iterator[Row]:
    """Rows of a table whose first line names the columns."""
    columns: list[str] | None = None
    delimiter = "\t"
    if stream.file.kind == "csv":
        head = stream.peek(DELIMITER_BYTES).decode("utf-8-sig", "replace")
        delimiter = delimiter_of(head, [first_key(name) for name in wanted_fields(config)] if config else [])
    for number, values, fault, invalid, mended in table_rows(decoded_lines(stream), delimiter):
        place = f"{stream.name}:{number}"
        if columns is None and not fault and SEPARATOR_LINE.fullmatch(delimiter.join(values)):
            continue  # Excel's own line, which names the delimiter
        if columns is None and not fault:
            columns = values
            _columns_of(stream.name, columns, config)
        elif columns is None:
            raise DamagedFileError(f"{place}: {fault}; it should name the columns")
        elif fault or (values and len(values) != len(columns)):
            yield Row(place, None, fault or f"{len(values)} values for {len(columns)} columns", invalid)
        elif values:
            yield Row(place, dict(zip(columns, values, strict=True)), "", invalid, mended)


def _parquet(stream: ByteStream, config: Wanted) -> Iterator[Row]:
    """The rows of the row groups that begin in the stream's span."""
    with stream.seekable() as raw:
        opened, columns = parquet_columns(raw, stream.name)
        groups, before = row_groups(opened, stream.span.start, stream.span.end, stream.file.size)
        try:
            wanted = _columns_of(stream.name, columns, config)
        except DamagedFileError:
            # Once for the file: whoever reads its beginning says so.
            if stream.span.start:
                return
            raise
        stream.refuse_rows(opened.metadata.num_rows)
        stream.refuse_bomb(largest_group_bytes(opened, groups))
        unfolded = 0
        for number, (row, spoilt) in enumerate(parquet_rows(opened, wanted, groups, stream.name), start=before + 1):
            unfolded += sum(len(value) for value in row.values() if isinstance(value, str))
            stream.refuse_bomb(unfolded)
            stream.consumed = stream.file.size * number // max(number, opened.metadata.num_rows)
            place = f"{stream.name}: row {number}"
            mended = f"{place}: invalid UTF-8 in a column of text" if spoilt else None
            yield Row(place, row, "", spoilt, mended)


def _columns_of(name: str, columns: list[str], config: Wanted) -> list[str]:
    """The columns that are needed; a table without one of them has no document at all."""
    if config is None:
        return columns
    found = list[str]()
    for wanted in wanted_fields(config):
        column = next((column for column in (wanted, first_key(wanted)) if column in columns), None)
        if column is None and wanted == config.field:
            column = next((column for column in CONVERSATIONS if column in columns), None)
        if column is None:
            raise DamagedFileError(f"{name}: {absent(wanted, dict.fromkeys(columns))}")
        found.append(column)
    return found


ROWS: dict[str, Callable[[ByteStream, Wanted], Iterator[Row]]] = {
    "jsonl": _jsonl,
    "json": _json,
    "csv": _csv,
    "tsv": _csv,
    "parquet": _parquet,
}
