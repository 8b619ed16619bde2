"""Pass 1: every file is read once; of each document its size, digest and signature are written to the table.

Workers read, unit by unit; here the rows are written in order, and the state is journalled now and then at the end of a
unit, so that an interrupted scan goes on from there to the same bytes. What a document is does not depend on what
`on_bad` or the held-out share say: that is decided from the tables (census.py).
"""

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from chainrule.base import DataError, read_sealed, write_sealed
from chainrule.config import TextConfig
from chainrule.data.files import TextFile
from chainrule.data.folders import shown
from chainrule.data.pieces import Removal
from chainrule.data.policy import refuse_flaw
from chainrule.data.recording import EXAMPLES, Begun, Curated, Flaw, Recorded, Task, chained, halves, record, table_rows
from chainrule.data.similarity import NO_SHINGLES, PERMUTATIONS
from chainrule.data.spreading import MOST_TASKS, TASK_BYTES, Load, Spread
from chainrule.data.streams import Span, ends_file
from chainrule.data.table import BAD, FILTERED, MENDED, TRAIN, UNIT, TableFiles
from chainrule.data.units import Unit, plan_units

Progress = Callable[[str, int, int], None]
"""Called with the phase ("reading" or "tokens"), the bytes done and the bytes in all."""

JOURNAL_BYTES = 256 << 20


@dataclass
class OpenDocument:
    """A document that is read in several units, as far as it is known."""

    n_bytes: int = 0
    digest: str = ""
    signature: list[int] = field(default_factory=lambda: [NO_SHINGLES] * PERMUTATIONS)
    flaw: list[str] = field(default_factory=list)
    """Kind and reason of the first thing that is wrong with it."""
    places: int = 0
    removal: list[str] = field(default_factory=list)
    """Why it is left out: rule, figure, beginning."""

    def join(self, part: Begun) -> None:
        """Takes the next part."""
        self.removal = self.removal or list(part.removal or ())
        self.n_bytes += part.n_bytes
        self.digest = chained(bytes.fromhex(self.digest), part.digests).hex()
        self.signature = np.minimum(np.array(self.signature, np.uint64), part.signature).tolist()
        self.places += part.places
        if part.bad and self.flaw[:1] != ["bad"]:
            self.flaw = ["bad", part.bad]
        elif part.mended and not self.flaw:
            self.flaw = ["mended", part.mended]


@dataclass
class Counts:
    """What a resumed scan must know beside the tables."""

    file: int = 0
    start: int = 0
    """Where the next unit begins: file and byte."""
    documents: int = 0
    bytes_read: int = 0
    passed_over: dict[str, int] = field(default_factory=dict)
    """Files without documents, by what they are counted as."""
    places: int = 0
    """Invalid places in all documents."""
    masked: int = 0
    """Addresses of people and machines that were masked."""
    removed: dict[str, int] = field(default_factory=dict)
    """Documents that rules left out."""
    examples: dict[str, list[dict[str, str]]] = field(default_factory=dict)
    """The first of them, as the data report tells them."""
    open: OpenDocument = field(default_factory=OpenDocument)


class Scan:
    """One pass over the files, written into `folder`."""

    def __init__(self, files: Sequence[TextFile], config: TextConfig, folder: Path, key: str) -> None:
        self.tables = TableFiles(folder)
        self.damaged: list[str] = []
        """Files of an earlier start that were not as it had left them, so that all is read again."""
        self._files, self._config, self._key = files, config, key
        self._folder, self._journal = folder, folder / "scan.json"
        for spool in folder.glob("spool-*"):
            spool.unlink()
        self._counts = self._resumed()
        self._journalled = self._counts.bytes_read

    def run(self, spread: Spread, on_progress: Progress | None) -> Counts:
        """Reads what is not read yet; returns the counts of all.

        With on_bad = error, DataError at the first document that had to be mended or is bad; what was read before it
        stays.
        """
        total = sum(file.size for file in self._files)
        left = total - self._counts.bytes_read
        task_bytes = max(TASK_BYTES, total // MOST_TASKS)

        def tell(done: int, n_tasks: int) -> None:
            if on_progress:
                on_progress("reading", total - left + done * left // n_tasks, total)

        load = Load(self._folder, left, self._key, lambda label: label[1] // task_bytes, tell)
        with spread.map(partial(record, self._config, self._folder), load) as record_all:
            for (unit, n_bytes), recorded in record_all(self._tasks(unfolds=spread.executor is None)):
                self._refuse(recorded)
                self._take(unit, n_bytes, recorded)
                if self._counts.bytes_read - self._journalled >= JOURNAL_BYTES:
                    self._save()
                if on_progress:
                    on_progress("reading", self._counts.bytes_read, total)
        if self._counts.bytes_read > self._journalled or not self._journal.exists():
            self._save()
        return self._counts

    def _tasks(self, *, unfolds: bool) -> Iterator[tuple[tuple[Unit, int], Task]]:
        """Each unit with the bytes of all files up to its end, and what a worker needs for it."""
        before = sum(file.size for file in self._files[: self._counts.file])
        for unit, unfolded in plan_units(
            self._files, self._config, self._folder, self._counts.file, self._counts.start, unfolds=unfolds
        ):
            files = self._files[unit.file : unit.file + unit.n_files]
            reached = unfolded.reached if unfolded else unit.end or sum(file.size for file in files)
            yield (unit, before + reached), Task(unit, files, unfolded)
            if ends_file(files[0], Span(unit.start, unit.end)):
                before += sum(file.size for file in files)

    def _refuse(self, recorded: Recorded) -> None:
        """Raises DataError for what may not be passed over, after what came before it was made durable."""
        named = (flaw for flaw in recorded.flaws if flaw.kind == "binary" and self._files[flaw.place].named)
        for flaw in named:
            raise DataError(flaw.reason)
        if self._config.on_bad != "error":
            return
        flaws = [flaw for flaw in recorded.flaws if flaw.kind != "binary"]
        if recorded.fragment and (reason := recorded.fragment.bad or recorded.fragment.mended):
            flaws.append(Flaw(0, reason, "bad" if recorded.fragment.bad else "mended", 0))
        if flaws:
            self._save()
            refuse_flaw(flaws[0].kind, flaws[0].reason)

    def _take(self, unit: Unit, n_bytes: int, recorded: Recorded) -> None:
        counts = self._counts
        before = counts.open.n_bytes if unit.fragment else 0
        row = np.array([(*unit, counts.documents, before)], UNIT)
        self.tables.units.append(row.tobytes())
        self.tables.append(recorded.rows)
        self._note(recorded.flaws)
        self._leave_out(recorded.curated)
        counts.documents += recorded.rows.n
        counts.bytes_read = n_bytes
        ends = ends_file(self._files[unit.file], Span(unit.start, unit.end))
        counts.file, counts.start = (unit.file + unit.n_files, 0) if ends else (unit.file, unit.end)
        if recorded.fragment:
            counts.open.join(recorded.fragment)
            if ends:
                self._close(unit.file)

    def _close(self, file: int) -> None:
        """The open document is whole."""
        found, self._counts.open = self._counts.open, OpenDocument()
        state, n_bytes, digest = TRAIN, found.n_bytes, bytes.fromhex(found.digest)
        signature = np.array(found.signature, np.uint64)
        if found.flaw:
            kind, reason = found.flaw
            self._note([Flaw(0, reason, kind, found.places)])
            state = MENDED
            if kind == "bad":
                state, n_bytes, digest = BAD, 0, bytes(len(digest))
                signature = np.full_like(signature, NO_SHINGLES)
        if found.removal and state != BAD:
            state = FILTERED
            curated = Curated()
            curated.leave_out(file, Removal(*found.removal))
            self._leave_out(curated)
        self.tables.append(table_rows([(file, state, False, n_bytes, halves(digest))], [signature]))
        self._counts.documents += 1

    def _note(self, flaws: Sequence[Flaw]) -> None:
        for flaw in flaws:
            if flaw.kind == "binary":
                passed = self._counts.passed_over
                passed[flaw.counted_as] = passed.get(flaw.counted_as, 0) + 1
            self._counts.places += flaw.places
        rows = [{"kind": flaw.kind, "reason": flaw.reason} for flaw in flaws]
        self.tables.flaws.append("".join(json.dumps(row) + "\n" for row in rows).encode())

    def _leave_out(self, curated: Curated) -> None:
        counts = self._counts
        counts.masked += curated.masked
        for rule, n in curated.n.items():
            counts.removed[rule] = counts.removed.get(rule, 0) + n
            examples = counts.examples.setdefault(rule, [])
            told = (
                {"file": shown(self._files[file].path), "found": one.found, "begins": one.begins}
                for file, one in curated.examples[rule]
            )
            examples += islice(told, EXAMPLES - len(examples))

    def _save(self) -> None:
        """Makes all until now durable."""
        self._journalled = self._counts.bytes_read
        state: dict[str, Any] = {"key": self._key, "seals": self.tables.sync(), "counts": asdict(self._counts)}
        write_sealed(self._journal, state)

    def _resumed(self) -> Counts:
        """The counts of an earlier start of the same scan, with the files cut back to them; else fresh ones."""
        saved = read_sealed(self._journal)
        if saved is None and self._journal.exists():
            self.damaged = [self._journal.name]
        if saved is None or saved.get("key") != self._key:
            self.tables.cut({})
            return Counts()
        self.damaged = self.tables.cut(saved["seals"])
        if self.damaged:
            return Counts()
        counts = Counts(**saved["counts"])
        counts.open = OpenDocument(**saved["counts"]["open"])
        return counts
