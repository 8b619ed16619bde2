"""Pass 1: every file is read once; of each document its size, digest and signature are written to the table.

The state is journalled at the ends of files, so that an interrupted scan goes on from there to the same bytes.
"""

import json
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from chainrule.base import disk_faults, write_json
from chainrule.config import TextConfig
from chainrule.data.documents import read_documents
from chainrule.data.files import TextFile
from chainrule.data.folders import shown
from chainrule.data.pieces import Piece
from chainrule.data.policy import under_policy
from chainrule.data.similarity import Sketch, sketch
from chainrule.data.streams import BinaryFileError
from chainrule.data.table import Recorder, TableFiles
from chainrule.data.workers import ordered_map, worker_count
from chainrule.run import append_row

Progress = Callable[[str, int, int], None]
"""Called with the phase ("reading" or "tokens"), the bytes done and the bytes in all."""

BATCH_BYTES = 1 << 18
# Rows may be short, so their number bounds a batch as well.
BATCH_PIECES = 1 << 12
JOURNAL_BYTES = 256 << 20


class Item(NamedTuple):
    """A piece on its way, with its file and the bytes read of all files until then."""

    file: int
    done: int
    piece: Piece | None
    """None: the file is binary and has no document."""


@dataclass
class Counts:
    """What a resumed scan must know beside the table."""

    next_file: int = 0
    documents: int = 0
    left_out_bytes: int = 0
    """Length of the list of what was left out."""
    found: Counter[str] = field(default_factory=Counter)
    """Of "binary" files, "bad" documents and "invalid" places."""


class Scan:
    """One pass over the files, written into `folder`."""

    def __init__(self, files: Sequence[TextFile], config: TextConfig, folder: Path, key: str) -> None:
        self.tables = TableFiles(folder)
        self._files, self._config, self._key = files, config, key
        self._left_out = folder / "left_out.jsonl"
        self._journal = folder / "scan.json"
        self._journalled = 0
        self._counts = self._resumed()
        self._recorder = Recorder(self.tables)

    def run(self, workers: int, on_progress: Progress | None) -> Counts:
        """Reads what is not read yet; returns the counts of all."""
        total = sum(file.size for file in self._files)
        with ordered_map(sketch, worker_count(workers, total)) as sketch_all:
            for items, sketched in sketch_all(self._batches()):
                for index, item in enumerate(items):
                    if item.file > self._counts.next_file:
                        self._next_file(item)
                    self._add(item, sketched, index)
                self._counts.documents += self._recorder.flush()
                if on_progress:
                    on_progress("reading", items[-1].done, total)
        return self._counts

    def note_left_out(self, reasons: Sequence[str]) -> None:
        """Adds what could not even be opened to the list of what was left out."""
        for reason in reasons:
            append_row(self._left_out, {"reason": reason})

    def forget(self) -> None:
        """Removes what only an interrupted scan needs."""
        self._journal.unlink(missing_ok=True)
        self.tables.signatures.unlink(missing_ok=True)

    def _batches(self) -> Iterator[tuple[list[Item], list[bytes]]]:
        """Items together with their contents, which is all that is sent to a worker."""
        items: list[Item] = []
        contents: list[bytes] = []
        waiting = 0
        for item in self._items():
            items.append(item)
            contents.append(item.piece.content if item.piece else b"")
            waiting += len(contents[-1])
            if waiting >= BATCH_BYTES or len(items) >= BATCH_PIECES:
                yield items, contents
                items, contents, waiting = [], [], 0
        if items:
            yield items, contents

    def _items(self) -> Iterator[Item]:
        done = sum(file.size for file in self._files[: self._counts.next_file])
        for index in range(self._counts.next_file, len(self._files)):
            file = self._files[index]
            try:
                for piece, consumed in under_policy(read_documents(file, self._config), self._config.on_bad):
                    yield Item(index, done + consumed, piece)
            except BinaryFileError:
                if file.named:
                    raise
                yield Item(index, done, None)
            done += file.size

    def _add(self, item: Item, sketched: Sketch, index: int) -> None:
        piece = item.piece
        if piece is None:
            self._counts.found["binary"] += 1
            append_row(self._left_out, {"reason": f"{shown(self._files[item.file].path)}: is binary, not text"})
            return
        if piece.bad is not None:
            self._counts.found["bad"] += 1
            append_row(self._left_out, {"reason": piece.bad})
        self._counts.found["invalid"] += piece.invalid
        self._recorder.add(item.file, piece, sketched.digests[index], sketched.signatures[index])

    def _next_file(self, item: Item) -> None:
        """All files before this item's are done; now and then that is journalled."""
        self._counts.next_file = item.file
        if item.done - self._journalled < JOURNAL_BYTES:
            return
        self._journalled = item.done
        self._counts.documents += self._recorder.flush()
        self.tables.sync()
        self._counts.left_out_bytes = self._left_out.stat().st_size
        write_json(self._journal, {"key": self._key, **vars(self._counts), "found": dict(self._counts.found)})

    def _resumed(self) -> Counts:
        """The counts of an earlier start of the same scan, with the files cut back to them; else fresh ones."""
        try:
            saved = json.loads(self._journal.read_text())
        except (OSError, ValueError):
            saved = {}
        counts = Counts()
        if saved.pop("key", None) == self._key:
            counts = Counts(**{**saved, "found": Counter(saved["found"])})
        self.tables.cut(counts.documents)
        with disk_faults(self._left_out, "writing"), self._left_out.open("ab") as stream:
            stream.truncate(counts.left_out_bytes)
        return counts
