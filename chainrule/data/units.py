"""Text is read by units: a few small files, a whole file, or a range of a large one; one worker reads each.

Where a unit begins and ends depends on the files and settings alone, never on the workers or on where an earlier start
was cut off, so that a journal can name a unit and results are the same to the byte.
"""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

from chainrule.base import DataError
from chainrule.config import TextConfig
from chainrule.data.files import TextFile
from chainrule.data.range_ends import Plain, boundary_end, found_ends, group_ends, line_end, piece_ends
from chainrule.data.separators import LOOK_BYTES as RECOGNISED_BYTES
from chainrule.data.separators import boundary_of
from chainrule.data.signatures import other_format
from chainrule.data.streams import HEAD_BYTES, Unfolded, raw_file
from chainrule.data.unfolding import Unfolding, unfolding
from chainrule.data.wide import marked_encoding

# A tenth of a second of a core: small enough for memory, progress and a resume, large enough to be worth sending.
UNIT_BYTES = 4 << 20
UNIT_FILES = 1000
# Compressed text unfolds into about so many times its size.
UNFOLDS = 4
# A compressed file with this share of all bytes is divided: one process can unfold for five to ten workers. Of more and
# smaller ones each unfolds in its own worker, so that their number is no limit.
DIVIDED_SHARE = 1 / 8


class Unit(NamedTuple):
    """`n_files` whole files from number `file` on (end is 0), or the bytes start..end of that one file.

    Of a compressed file they are bytes of what it unfolds into, and the end of its last range is 0.
    """

    file: int
    n_files: int
    start: int = 0
    end: int = 0
    fragment: bool = False
    """The range lies inside one document, which is the whole file."""


Planned = tuple[Unit, Unfolded | None]
"""A unit, and where the content of a range of a compressed file lies."""


def plan_units(
    files: Sequence[TextFile], config: TextConfig, folder: Path, file: int = 0, start: int = 0, *, unfolds: bool = True
) -> Iterator[Planned]:
    """The units from the beginning of one of them on, in reading order.

    What compressed files unfold into is left in `folder`, range by range, for whoever reads it and then removes it;
    without `unfolds` each is read whole by one worker.
    """
    first, weight = file, 0
    least_folded = max(2 * UNIT_BYTES / UNFOLDS, DIVIDED_SHARE * sum(file.size for file in files))
    for index in range(file, len(files)):
        if files[index].codec and not unfolds:
            pass
        elif files[index].size >= (least_folded if files[index].codec else 2 * UNIT_BYTES):
            ranges = _divided(files[index], index, config, start if index == file else 0, folder)
            if found := next(ranges, None):
                if first < index:
                    yield Unit(first, index - first), None
                yield found
                yield from ranges
                first, weight = index + 1, 0
                continue
        weight += files[index].size * (UNFOLDS if files[index].codec else 1)
        if weight >= UNIT_BYTES or index + 1 - first >= UNIT_FILES:
            yield Unit(first, index + 1 - first), None
            first, weight = index + 1, 0
    if first < len(files):
        yield Unit(first, len(files) - first), None


def _divided(file: TextFile, index: int, config: TextConfig, start: int, folder: Path) -> Iterator[Planned]:
    """The ranges of a large file from `start` on; none when one worker must read it whole."""
    with ExitStack() as stack:
        try:
            content: Plain | Unfolding
            if file.codec:
                place = f"spool-{index}-%d.content"
                content = stack.enter_context(unfolding(file, lambda at: folder / (place % at)))
            else:
                content = Plain(stack.enter_context(raw_file(file.path, 0)), file.size)
            ends, fragment = _ends(content, file, config, start)
        except (DataError, OSError):
            # Whoever reads it says so.
            return
        if isinstance(content, Unfolding):
            content.pass_to(start)
        for begin, end in pairwise(ends):
            if isinstance(content, Plain):
                yield Unit(index, 1, begin, end, fragment), None
            else:
                yield _unfolded(content, Unit(index, 1, begin, end, fragment))


def _unfolded(content: Unfolding, unit: Unit) -> Planned:
    found = content.take(unit.end)
    if content.reaches(unit.end):
        return unit, found
    if unit.start:
        return unit._replace(end=0), found
    Path(found.path).unlink()
    return Unit(unit.file, 1), None


def _ends(content: Plain | Unfolding, file: TextFile, config: TextConfig, start: int) -> tuple[Iterator[int], bool]:
    """`start` and the ends of all ranges after it (nothing for what has no places to begin at), and `fragment`.

    A newline in a table may stand inside a value.
    """
    if file.kind == "parquet" and isinstance(content, Plain):
        return group_ends(file, content.raw, start, UNIT_BYTES) or iter(()), False
    if file.kind not in ("text", "jsonl"):
        return iter(()), False
    head = content.read(0, RECOGNISED_BYTES)
    if b"\0" in head[:HEAD_BYTES] or marked_encoding(head) or other_format(head, has_nul=False):
        return iter(()), False
    if file.kind == "jsonl":
        return found_ends(content, start, UNIT_BYTES, line_end), False
    boundary = boundary_of(config.separator, file.path, lambda: head)
    if boundary is None:
        return piece_ends(content, start, UNIT_BYTES), True
    if not boundary.divisible:
        return iter(()), False
    return found_ends(content, start, UNIT_BYTES, boundary_end(boundary.line)), False
