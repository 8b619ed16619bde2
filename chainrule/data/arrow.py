"""The one door to pyarrow: Zstandard streams and Parquet files, both read in bounded memory."""

from collections.abc import Iterator
from typing import IO, Any, Protocol, cast, runtime_checkable

import pyarrow
import pyarrow.parquet

from chainrule.base import DataError

# A batch holds this many rows; with pages of 1 MiB (the writers' default) memory stays small whatever the row group.
ROWS_AT_ONCE = 64
PAGE_BUFFER = 1 << 20


@runtime_checkable
class Readable(Protocol):
    """What all decompressors have in common."""

    def read(self, size: int, /) -> bytes:
        """At most `size` bytes; none at the end."""


def zstd_stream(raw: IO[bytes]) -> Readable:
    """The decompressed bytes of `raw`; raises OSError on damaged or truncated data."""
    return cast(Readable, pyarrow.CompressedInputStream(pyarrow.PythonFile(raw, mode="r"), "zstd"))


def parquet_columns(raw: IO[bytes], name: str) -> tuple[Any, list[str]]:
    """The opened file and the names of its columns."""
    try:
        opened = pyarrow.parquet.ParquetFile(raw, buffer_size=PAGE_BUFFER, pre_buffer=False)
    except (pyarrow.ArrowInvalid, OSError) as fault:
        raise DataError(f"{name}: truncated or not a Parquet file: {_first_line(fault)}") from fault
    return opened, list(opened.schema_arrow.names)


def largest_chunk_bytes(opened: Any, columns: list[str]) -> int:
    """Bytes that the largest column chunk unfolds into, as the file says: a single value may be that large."""
    chunks = (
        opened.metadata.row_group(group).column(column)
        for group in range(opened.metadata.num_row_groups)
        for column in range(opened.metadata.num_columns)
    )
    return max((chunk.total_uncompressed_size for chunk in chunks if chunk.path_in_schema in columns), default=0)


def parquet_rows(opened: Any, columns: list[str], name: str) -> Iterator[dict[str, Any]]:
    """The rows in order, with these columns only."""
    try:
        for batch in opened.iter_batches(batch_size=ROWS_AT_ONCE, columns=columns, use_threads=False):
            yield from batch.to_pylist()
    except (pyarrow.ArrowException, OSError, UnicodeDecodeError) as fault:
        raise DataError(f"{name}: damaged or truncated Parquet data: {_first_line(fault)}") from fault


def _first_line(fault: Exception) -> str:
    return str(fault).splitlines()[0][:200] if str(fault) else type(fault).__name__
