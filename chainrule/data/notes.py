"""What a person is told about the text in single lines: how it was parted, what was left out, how much is held out."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chainrule.base import DataError, bytes_text
from chainrule.config import TextConfig
from chainrule.data.files import JSON, TextFile
from chainrule.data.folders import shown
from chainrule.data.separators import AUTO, CHAT, LOOK_BYTES, MARKS, boundary_of
from chainrule.data.split import HoldOut
from chainrule.data.streams import opened
from chainrule.run import read_rows

# So many files are looked at again to say what parts them; of more, the rest is counted with the last.
LOOKED_AT = 100
CHUNK_ROWS = 1 << 17
# So many reasons are quoted.
QUOTED = 2


def text_notes(
    report: Mapping[str, Any],
    config: TextConfig,
    files: Sequence[TextFile],
    table: NDArray[Any],
    held: HoldOut,
    left_out: Path,
) -> list[str]:
    """The lines, each complete in itself; none for an ordinary text."""
    n_documents = np.zeros(len(files), np.int64)
    for start in range(0, len(table), CHUNK_ROWS):
        n_documents += np.bincount(table["file"][start : start + CHUNK_ROWS], minlength=len(files))
    return [
        *_parted(config, files, n_documents),
        *_left_out(report, left_out),
        *_passed_over(report, config),
        *_held_out(config, held),
    ]


def _parted(config: TextConfig, files: Sequence[TextFile], n_documents: NDArray[np.int64]) -> Iterator[str]:
    """Which plain files hold many documents, and what separates them there."""
    plain = [index for index in np.flatnonzero(n_documents > 1).tolist() if files[index].kind == "text"]
    if config.separator not in (AUTO, "") and not plain:
        yield f"text.separator {config.separator!r} stands on no line of its own: each file is one document"
    found = defaultdict[str, list[int]](list)
    name = ""
    for place, index in enumerate(plain):
        boundary = boundary_of(config.separator, files[index].path, _head(files[index])) if place < LOOKED_AT else None
        name = boundary.name if boundary else name
        found[name].append(index)
    for name, parted in found.items():
        which = shown(Path(files[parted[0]].path).name) if len(parted) == 1 else f"{len(parted):,} files"
        yield f"{which}: {int(n_documents[parted].sum()):,} documents, separated by {name}{_dropped(name)}"
    if config.separator == AUTO and len(files) == 1 and files[0].kind == "text" and not plain:
        head = _head(files[0])()
        for mark in islice((mark for mark in MARKS if mark.encode() in head), 1):
            yield f"{mark} stands inside lines and is read as text; on lines of its own it separates documents"


def _dropped(name: str) -> str:
    return "; dates and times were taken off" if name == CHAT.name else ""


def _head(file: TextFile) -> Any:
    def read() -> bytes:
        try:
            with opened(file) as stream:
                return stream.peek(LOOK_BYTES)
        except DataError:
            return b""

    return read


def _left_out(report: Mapping[str, Any], left_out: Path) -> Iterator[str]:
    binary = report["skipped_by"].get("binary", 0)
    counts = (
        (report["bad"], "bad document", "bad documents"),
        (report["unreadable"], "unreadable file or folder", "unreadable files or folders"),
        (binary, "binary file", "binary files"),
        (report["unread"] - binary, "document that cannot be read", "documents that cannot be read"),
    )
    counted = [f"{n:,} {one if n == 1 else many}" for n, one, many in counts if n]
    if counted:
        reasons = [row["reason"] for row in islice(read_rows(left_out), QUOTED)]
        more = sum(n for n, _, _ in counts) > len(reasons)
        rest = "; all in survey/left_out.jsonl, in the data folder" if more else ""
        yield f"left out: {', '.join(counted)}; {'; '.join(reasons)}{rest}"


def _passed_over(report: Mapping[str, Any], config: TextConfig) -> Iterator[str]:
    n_json = report["skipped_by"].get(JSON, 0)
    if n_json:
        what = "rows for text.template" if config.template else f"a field {config.field!r}"
        which = "a .json file does not begin with" if n_json == 1 else f"{n_json:,} .json files do not begin with"
        yield f"passed over: {which} {what} or a conversation (name text.field, or the file itself to have it read)"


def _held_out(config: TextConfig, held: HoldOut) -> Iterator[str]:
    if held.limited:
        most = bytes_text(config.validation_bytes)
        yield f"held out: about {most} (text.validation_bytes), which is less than text.validation_share of the text"
