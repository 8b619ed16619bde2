"""Structured rows (.jsonl, .csv, .tsv, .parquet) to documents, by a field or a template."""

import csv
import json
import string
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from chainrule.base import DataError, bytes_text, nearest
from chainrule.config import TextConfig
from chainrule.data.arrow import largest_chunk_bytes, parquet_columns, parquet_rows
from chainrule.data.pieces import Piece
from chainrule.data.streams import ByteStream
from chainrule.data.text import BYTE_ORDER_MARK, checked, row_pieces

# A row is parsed whole, so a line has an end: a gigabyte without a newline is not a row.
MOST_LINE_BYTES = 64 << 20
CHUNK_BYTES = 1 << 20
Row = tuple[str, Mapping[str, Any] | None, str]
"""Place, the row (None: malformed) and the reason."""


def row_documents(stream: ByteStream, config: TextConfig) -> Iterator[Piece]:
    """The documents of a structured file, one for each row; malformed rows follow `on_bad` (replace counts as skip)."""
    build = _builder(config)
    for place, row, reason in ROWS[stream.file.kind](stream, config):
        text = None
        if row is not None:
            text, reason = build(row)
        if text is not None:
            yield from row_pieces(text, place, config.on_bad)
        elif config.on_bad == "error":
            raise DataError(f"{place}: {reason}; mend it, or set text.on_bad to skip")
        else:
            yield Piece(b"", True, f"{place}: {reason}")


def template_fields(template: str) -> list[str]:
    r"""The column names in a template such as "{title}\n{body}"; raises DataError for one that is malformed."""
    try:
        parts = [(name, spec, conversion) for _, name, spec, conversion in string.Formatter().parse(template)]
    except ValueError as fault:
        raise DataError(f"text.template {template!r}: {fault}; write {{{{ and }}}} for plain braces") from fault
    names = [name for name, spec, conversion in parts if name is not None]
    if not names or any(not name or spec or conversion for name, spec, conversion in parts if name is not None):
        raise DataError(f"text.template {template!r}: name at least one column, each as {{column}} and nothing more")
    return names


def _builder(config: TextConfig) -> Callable[[Mapping[str, Any]], tuple[str | None, str]]:
    """From a row to its text, or None and the reason."""
    if config.template is None:
        return lambda row: _field(row, config.field)
    names = template_fields(config.template)
    # A shell passes backslash-n as two letters.
    template = config.template.replace("\\n", "\n").replace("\\t", "\t")
    parts = [(literal, name) for literal, name, _, _ in string.Formatter().parse(template)]

    def fill(row: Mapping[str, Any]) -> tuple[str | None, str]:
        for name in names:
            if name not in row or row[name] is None:
                return None, _absent(name, row)
        return "".join(literal + (str(row[name]) if name is not None else "") for literal, name in parts), ""

    return fill


def _field(row: Mapping[str, Any], name: str) -> tuple[str | None, str]:
    value = row.get(name)
    if isinstance(value, str):
        return value, ""
    if value is None:
        return None, _absent(name, row)
    return None, f"field {name!r} holds {type(value).__name__}, not text"


def _absent(name: str, row: Mapping[str, Any]) -> str:
    if name in row:
        return f"field {name!r} is null"
    columns = ", ".join(map(repr, list(row)[:12]))
    return f"no field {name!r}.{nearest(name, map(str, row))} The row has {columns or 'none'}; name one with text.field"


def _lines(stream: ByteStream) -> Iterator[tuple[int, int, bytes]]:
    """Number (from 1), byte offset and content of each line, its newline included."""
    buffer, offset, number = stream.read(CHUNK_BYTES), 0, 1
    if buffer.startswith(BYTE_ORDER_MARK):
        buffer, offset = buffer[3:], 3
    while buffer:
        lines = buffer.splitlines(keepends=True) if b"\r" not in buffer else _split(buffer)
        rest = b"" if lines[-1].endswith(b"\n") else lines.pop()
        for line in lines:
            yield number, offset, line
            offset, number = offset + len(line), number + 1
        if len(rest) > MOST_LINE_BYTES:
            raise DataError(
                f"{stream.name}:{number}: the line that starts at byte {offset} is longer than "
                f"{bytes_text(MOST_LINE_BYTES)}; one row stands on one line"
            )
        # Reading as much again as is left keeps the work linear when one line is long.
        more = stream.read(max(CHUNK_BYTES, len(rest)))
        if rest and not more:
            yield number, offset, rest
            return
        buffer = rest + more


def _split(buffer: bytes) -> list[bytes]:
    """Lines by newline alone: a carriage return inside a line stays there."""
    lines = [line + b"\n" for line in buffer.split(b"\n")]
    lines[-1] = lines[-1][:-1]
    return lines if lines[-1] else lines[:-1]


def _decoded(stream: ByteStream, config: TextConfig) -> Iterator[tuple[int, str | None, str]]:
    """Number of each line, its text (None when it is left out) and the reason."""
    for number, offset, line in _lines(stream):
        piece = checked(line, f"{stream.name}:{number} (byte {{offset}})", offset, config.on_bad, last=True)
        yield number, (piece.content.decode() if piece.bad is None else None), piece.bad or ""


def _jsonl(stream: ByteStream, config: TextConfig) -> Iterator[Row]:
    for number, line, reason in _decoded(stream, config):
        place = f"{stream.name}:{number}"
        if line is None:
            yield place, None, reason
        elif not line.isspace():
            yield _parsed(place, line)


def _parsed(place: str, line: str) -> Row:
    try:
        row = json.loads(line)
    except (ValueError, RecursionError) as fault:
        return place, None, f"malformed JSON ({fault or 'nested too deeply'})"
    if not isinstance(row, dict):
        return place, None, f"the line holds a JSON {type(row).__name__}, not an object"
    return place, row, ""


def _csv(stream: ByteStream, config: TextConfig) -> Iterator[Row]:
    """Rows of a table whose first line names the columns; quoted values may span lines."""
    bad: list[str] = []

    def lines() -> Iterator[str]:
        for _, line, reason in _decoded(stream, config):
            if line is None:
                bad.append(reason)
            else:
                yield line

    # csv's limit of 128 KiB for a value is one for the whole process; a document may be longer.
    csv.field_size_limit(MOST_LINE_BYTES)
    table = csv.reader(lines(), delimiter="\t" if stream.file.kind == "tsv" else ",", strict=True)
    try:
        columns = next(table, [])
        _refuse_absent(stream.name, columns, config)
        while (values := next(table, None)) is not None:
            place = f"{stream.name}:{table.line_num + len(bad)}"
            if len(values) == len(columns):
                yield place, dict(zip(columns, values, strict=True)), ""
            elif values:
                yield place, None, f"{len(values)} values for {len(columns)} columns"
    except csv.Error as fault:
        raise DataError(f"{stream.name}:{table.line_num + len(bad)}: malformed CSV: {fault}") from fault
    for reason in bad:
        yield reason.split(": ", 1)[0], None, reason.split(": ", 1)[-1]


def _parquet(stream: ByteStream, config: TextConfig) -> Iterator[Row]:
    wanted = [config.field] if config.template is None else sorted(set(template_fields(config.template)))
    with stream.seekable() as raw:
        opened, columns = parquet_columns(raw, stream.name)
        _refuse_absent(stream.name, columns, config)
        stream.refuse_bomb(largest_chunk_bytes(opened, wanted))
        unfolded = 0
        for number, row in enumerate(parquet_rows(opened, wanted, stream.name), start=1):
            unfolded += sum(len(value) for value in row.values() if isinstance(value, str))
            stream.refuse_bomb(unfolded)
            stream.consumed = stream.file.size * number // opened.metadata.num_rows
            yield f"{stream.name}: row {number}", row, ""


def _refuse_absent(name: str, columns: list[str], config: TextConfig) -> None:
    """A table without the column has no document at all, whatever `on_bad` says."""
    for wanted in [config.field] if config.template is None else template_fields(config.template):
        if columns and wanted not in columns:
            raise DataError(f"{name}: {_absent(wanted, dict.fromkeys(columns))}")


ROWS: dict[str, Callable[[ByteStream, TextConfig], Iterator[Row]]] = {
    "jsonl": _jsonl,
    "csv": _csv,
    "tsv": _csv,
    "parquet": _parquet,
}
