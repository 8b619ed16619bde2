"""The one door to pyarrow: Zstandard streams and Parquet files, both read in bounded memory."""

from bisect import bisect_left
from collections.abc import Iterator
from itertools import accumulate, pairwise
from typing import IO, Any, Protocol, cast, runtime_checkable

import pyarrow
import pyarrow.parquet

from chainrule.data.policy import DamagedFileError

# A batch holds this many rows; with pages of 1 MiB (the writers' default) memory stays small whatever the row group.
ROWS_AT_ONCE = 64
# A dictionary is written once and stands in a batch for each row: 64 times a text of 60 MB were 4.7 GB.
FEW_ROWS_AT_ONCE, LONG_GROUP = 8, 4 << 20
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
        # Few writers add checksums to their pages; where they stand, a flipped bit is damage and no other text.
        opened = pyarrow.parquet.ParquetFile(
            raw, buffer_size=PAGE_BUFFER, pre_buffer=False, page_checksum_verification=True
        )
        return opened, list(opened.schema_arrow.names)
    except (pyarrow.ArrowException, OSError) as fault:
        raise DamagedFileError(f"{name}: truncated or not a Parquet file: {_first_line(fault)}") from fault


def row_group_starts(opened: Any, n_bytes: int) -> list[int] | None:
    """Places in a file of `n_bytes` where its row groups are said to begin, the first at 0; None when two are at one.

    By their shares of all that the file unfolds into. Where they truly begin the first column of each would tell, but
    of a column with damaged statistics pyarrow throws what Python cannot catch.
    """
    sizes = [max(0, size) for size in _group_bytes(opened, range(opened.metadata.num_row_groups))]
    ends = list(accumulate(sizes, initial=0))
    starts = [n_bytes * end // max(1, ends[-1]) for end in ends[:-1]]
    return starts if all(before < after for before, after in pairwise(starts)) else None


def _group_bytes(opened: Any, groups: range) -> list[int]:
    """What each row group unfolds into, as the file says, in bytes."""
    return [int(opened.metadata.row_group(number).total_byte_size) for number in groups]


def row_groups(opened: Any, start: int, end: int, n_bytes: int) -> tuple[range, int]:
    """The row groups that begin in these bytes of the file (end 0: all), and the number of rows before them."""
    count, starts = opened.metadata.num_row_groups, row_group_starts(opened, n_bytes) if end else None
    found = range(bisect_left(starts, start), bisect_left(starts, end)) if starts else range(count)
    return found, sum(opened.metadata.row_group(number).num_rows for number in range(found.start))


def largest_group_bytes(opened: Any, groups: range) -> int:
    """Bytes that the largest row group unfolds into, as the file says: a single value may be that large."""
    return max(_group_bytes(opened, groups), default=0)


def parquet_rows(opened: Any, columns: list[str], groups: range, name: str) -> Iterator[tuple[dict[str, Any], int]]:
    """The rows in order, with these columns only, each with the places that were no UTF-8 and became U+FFFD."""
    try:
        for batch in opened.iter_batches(
            batch_size=FEW_ROWS_AT_ONCE if largest_group_bytes(opened, groups) > LONG_GROUP else ROWS_AT_ONCE,
            row_groups=list(groups),
            columns=columns,
            use_threads=False,
        ):
            yield from _rows(batch)
    except (pyarrow.ArrowException, OSError) as fault:
        raise DamagedFileError(f"{name}: damaged or truncated Parquet data: {_first_line(fault)}") from fault


def _rows(batch: Any) -> list[tuple[dict[str, Any], int]]:
    try:
        return [(row, 0) for row in batch.to_pylist()]
    except UnicodeDecodeError:
        # Writers that take any bytes for a string are common; one such value must not cost the other 63 rows.
        return [_mended_row(batch, index) for index in range(batch.num_rows)]


def _mended_row(batch: Any, index: int) -> tuple[dict[str, Any], int]:
    places: list[int] = []
    row = {name: _mended(batch.column(name)[index], places) for name in batch.schema.names}
    return row, sum(places)


def _mended(value: Any, places: list[int]) -> Any:
    """The scalar as Python has it, with U+FFFD in place of what is no UTF-8; adds the number of places to `places`."""
    if not value.is_valid:
        return None
    if isinstance(value, pyarrow.StructScalar):
        return {name: _mended(part, places) for name, part in value.items()}
    if isinstance(value, pyarrow.ListScalar | pyarrow.LargeListScalar | pyarrow.FixedSizeListScalar):
        return [_mended(part, places) for part in value.values]
    if isinstance(value, pyarrow.DictionaryScalar):
        return _mended(value.value, places)
    try:
        return value.as_py()
    except UnicodeDecodeError:
        content = value.as_buffer().to_pybytes()
        text = content.decode(errors="replace")
        places.append(text.count("\ufffd") - content.count("\ufffd".encode()))
        return text


def _first_line(fault: Exception) -> str:
    return str(fault).splitlines()[0][:200] if str(fault) else type(fault).__name__
