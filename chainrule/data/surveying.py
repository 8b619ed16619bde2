"""Pass 1 as a whole: what was found in the files, what of it is kept, and on which side of the split."""

import hashlib
import json
import os
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chainrule.base import disk_faults, read_sealed, write_sealed
from chainrule.config import TextConfig
from chainrule.data.arrays import read_array
from chainrule.data.census import DECIDING, decide, figures, list_left_out, refuse_empty, refuse_flawed
from chainrule.data.contamination import contaminating_files, gather
from chainrule.data.executors import Executor
from chainrule.data.fields import text_builder
from chainrule.data.files import Listing, TextFile, list_files
from chainrule.data.jobs import Job, Part, Split, read_job
from chainrule.data.notes import text_notes
from chainrule.data.scan import Progress, Scan
from chainrule.data.similarity import VERSION
from chainrule.data.split import Cut
from chainrule.data.spreading import Spread
from chainrule.data.streams import Span
from chainrule.data.table import CUT, TRAIN, VALIDATION, SealedFile, TableFiles
from chainrule.data.unfolding import Ranges
from chainrule.data.whole_files import reader_version

FORMAT = 4
SIDES: dict[Split, int] = {"train": TRAIN, "validation": VALIDATION}
# Settings that came later: where they are as they ever were, they leave a key as it was.
LATER = ("filters", "languages", "pii", "decontaminate", "decontaminate_words")
# What the tokenizer learns from: this much, in so many stretches evenly spread over the text.
SAMPLE_BYTES, SAMPLE_PLACES = 48 << 20, 256


@dataclass(frozen=True)
class Survey:
    """What was found, and which documents are kept on which side; made by `survey`."""

    config: TextConfig
    files: Sequence[TextFile] = field(repr=False)
    table: NDArray[Any] = field(repr=False)
    units: NDArray[Any] = field(repr=False)
    states: NDArray[np.uint8] = field(repr=False)
    cuts: tuple[Cut, ...]
    report: dict[str, Any]
    key: str
    """Changes with the settings, and with any file's name, size or time."""
    notes: tuple[str, ...] = ()
    """What the user should be told of how it was made."""

    @property
    def sources(self) -> list[str]:
        """Names of the sources (the top-level files or folders), in reading order."""
        return _sources(self.files)

    @property
    def n_units(self) -> int:
        """Units of reading; pass 2 can go on from any of them."""
        return len(self.units)

    @property
    def unfolds(self) -> bool:
        """Whether a compressed file was divided, so that one process must unfold it for the others."""
        divided = self.units[(self.units["start"] > 0) | (self.units["end"] > 0)]["file"]
        return any(self.files[file].codec for file in np.unique(divided).tolist())

    def jobs(self, folder: Path, start: int = 0, split: Split | None = None) -> Iterator[tuple[int, Job]]:
        """The units from number `start` on that hold kept documents, each with what a worker needs to read it.

        With `split` only those with documents of this side. What compressed files unfold into is left in `folder`.
        """
        with Ranges(folder) as ranges:
            yield from ((number, self._unfolded(job, ranges)) for number, job in self._jobs(start, split))

    def _jobs(self, start: int, split: Split | None) -> Iterator[tuple[int, Job]]:
        sides = [CUT, *(state for side, state in SIDES.items() if split in (None, side))]
        # Columns, because rows of a mapped table cost microseconds each.
        firsts = [*self.units["document"].tolist(), len(self.table)]
        for number in range(start, self.n_units):
            unit = self.units[number]
            first = firsts[number]
            beyond = first + 1 if unit["fragment"] else firsts[number + 1]
            if np.isin(self.states[first:beyond], sides).any() and not (
                unit["fragment"] and self._beside(number, split)
            ):
                yield number, self._job(unit, first, beyond, sides)

    def texts(self, split: Split) -> Iterator[str]:
        """The kept documents of one side, read again; a long one comes in several texts of up to 256 KiB."""
        for part in self.parts(split):
            if part.content:
                yield part.content.decode()

    def parts(self, split: Split, start: int = 0) -> Iterator[Part]:
        """The same as bytes with the document's number, from document `start` on.

        Raises DataError naming the file when one is not what it was when it was surveyed.
        """
        firsts = self.units["document"]
        unit = int(np.searchsorted(firsts, start))
        for job in self._read_here(unit if unit < len(firsts) and firsts[unit] == start else max(unit - 1, 0), split):
            yield from (part for side, part in read_job(job) if side == split and part.document >= start)

    def sample(self, split: Split, n_bytes: int = SAMPLE_BYTES) -> Iterator[str]:
        """At most about `n_bytes` of `texts`, all of them when they fit, else in stretches evenly spread.

        Units without a stretch are not read: of a large text a small part.
        """
        total = self.split_bytes(split)
        if total <= n_bytes:
            yield from self.texts(split)
            return
        period = max(1, total // SAMPLE_PLACES)
        at = 0
        for job in self._read_here(split=split):
            size = _kept_bytes(job, split)
            n_places = -(-(at + size) // period) - -(-at // period)
            if n_places:
                yield from _stretches(job, split, size // n_places, n_places, n_bytes // SAMPLE_PLACES)
            at += size

    def split_bytes(self, split: Split) -> int:
        """Bytes of text on one side, to within the length of the line at which a document is cut."""
        whole = int(self.table["bytes"].sum(where=self.states == SIDES[split]))
        begun = sum(cut.byte for cut in self.cuts)
        if split == "train":
            return whole + begun
        return whole + sum(int(self.table["bytes"][cut.document]) for cut in self.cuts) - begun

    def _beside(self, number: int, split: Split | None) -> bool:
        """Whether this part of a document that is cut is wholly on the other side."""
        document, before = self.units["document"][number : number + 2], self.units["before"][number : number + 2]
        at = next((cut.byte for cut in self.cuts if cut.document == document[0]), None)
        if split is None or at is None:
            return False
        ends_before = len(document) > 1 and document[1] == document[0] and before[1] <= at
        return bool(ends_before if split == "validation" else before[0] > at)

    def _unfolded(self, job: Job, ranges: Ranges) -> Job:
        if job.files[0].codec and (job.span.start or job.span.end):
            return job._replace(unfolded=ranges.take(job.files[0], job.span.start, job.span.end))
        return job

    def _read_here(self, start: int = 0, split: Split | None = None) -> Iterator[Job]:
        """The same jobs for this process, one after the other."""
        with TemporaryDirectory(prefix="chainrule-") as folder:
            for _, job in self.jobs(Path(folder), start, split):
                with job.unfolded.once() if job.unfolded else nullcontext():
                    yield job

    def _job(self, unit: Any, first: int, beyond: int, sides: list[int]) -> Job:
        file, n_files = int(unit["file"]), int(unit["n_files"])
        edges = np.searchsorted(self.table["file"][first:beyond], np.arange(file, file + n_files + 1)).tolist()
        states = self.states[first:beyond]
        # How many wanted documents there are before each file.
        found = np.concatenate([[0], np.cumsum(np.isin(states, sides))])[edges]
        wanted = np.flatnonzero(np.diff(found)).tolist()
        return Job(
            self.config,
            tuple(self.files[file + index] for index in wanted),
            tuple((edges[index], edges[index + 1]) for index in wanted),
            first,
            states,
            np.array(self.table["bytes"][first:beyond]),
            Span(int(unit["start"]), int(unit["end"])),
            bool(unit["fragment"]),
            int(unit["before"]),
            tuple(cut for cut in self.cuts if first <= cut.document < beyond),
        )


def survey(
    config: TextConfig,
    folder: Path,
    *,
    workers: int = 0,
    executor: Executor | None = None,
    on_progress: Progress | None = None,
    listing: Listing | None = None,
) -> Survey:
    """Reads all files once and decides which documents are kept and which are held out.

    Its tables stay in `folder`/survey; a survey of the same files with the same settings is taken from there, an
    interrupted one goes on, and other settings of what is kept (DECIDING) need no second reading. `workers`: processes;
    0 chooses; or tasks of an `executor`. Raises DataError for every file or row that cannot be used and that
    `config.on_bad` does not forgive; those forgiven are listed in survey/left_out.jsonl.
    """
    text_builder(config)
    listing = listing or list_files(config.paths, config.on_bad, config)
    sets = contaminating_files(config).files if config.decontaminate else []
    reading_key, key = _keys(config, listing, sets)
    place = folder / "survey"
    with disk_faults(place, "creating"):
        place.mkdir(parents=True, exist_ok=True)
    known = _saved(config, listing, place, key)
    if isinstance(known, Survey):
        return known
    # Should this be cut off, the tables below no longer fit what an earlier survey decided.
    (place / "survey.json").unlink(missing_ok=True)
    if sets:
        gather(config, sets, place)
    scan = Scan(listing.files, config, place, reading_key)
    damaged = [*known, *scan.damaged]
    counts = scan.run(Spread(workers, executor), on_progress)
    refuse_flawed(scan.tables, config)
    held = decide(scan.tables, config)
    refuse_empty(held.states, counts, config)
    table = scan.tables.read()
    report = figures(listing, counts, table, held, _sources(listing.files))
    list_left_out(place / "left_out.jsonl", listing, scan.tables, config)
    report["notes"] = text_notes(report, config, listing.files, table, held, place / "left_out.jsonl")
    states = SealedFile(place / "states.bin")
    states.replace(held.states.tobytes())
    seals = {"states": states.seal, "documents": scan.tables.documents.seal, "units": scan.tables.units.seal}
    write_sealed(place / "survey.json", {"key": key, "cuts": held.cuts, "report": report, "seals": seals})
    notes = tuple(f"{name} in {place} was damaged: surveyed again" for name in dict.fromkeys(damaged))
    return Survey(config, listing.files, table, scan.tables.read_units(), held.states, held.cuts, report, key, notes)


def _saved(config: TextConfig, listing: Listing, place: Path, key: str) -> Survey | list[str]:
    """The finished survey in `place`, when it is one of these files with these settings; else its damaged files."""
    saved = read_sealed(place / "survey.json")
    if saved is None:
        return ["survey.json"] if (place / "survey.json").exists() else []
    if saved["key"] != key:
        return []
    tables = TableFiles(place)
    files = {"states": SealedFile(place / "states.bin"), "documents": tables.documents, "units": tables.units}
    damaged = [file.path.name for name, file in files.items() if not file.is_whole(saved["seals"][name])]
    if damaged:
        return damaged
    states = read_array(place / "states.bin", np.uint8)
    cuts = tuple(Cut(*cut) for cut in saved["cuts"])
    return Survey(config, listing.files, tables.read(), tables.read_units(), states, cuts, saved["report"], key)


def _kept_bytes(job: Job, split: Split) -> int:
    """About how much of the unit's text is on one side."""
    kept = int(job.sizes[np.isin(job.states, (CUT, SIDES[split]))].sum())
    if not job.fragment:
        return kept
    # The sizes are those of the whole document.
    return min(kept, job.unfolded.n_bytes if job.unfolded else job.span.end - job.span.start)


def _stretches(job: Job, split: Split, period: int, n_places: int, stretch: int) -> Iterator[str]:
    """Texts of the unit that begin in the first `stretch` bytes of each of so many periods."""
    at = 0
    for side, part in read_job(job):
        if at >= (n_places - 1) * period + stretch:
            return
        if side == split and part.content:
            if at % max(1, period) < stretch:
                yield part.content.decode()
            at += len(part.content)


def _sources(files: Sequence[TextFile]) -> list[str]:
    return list(dict.fromkeys(file.source for file in files))


def survey_key(config: TextConfig, listing: Listing) -> str:
    """What the tables of a survey depend on: the files and how they are read, not what of them is kept."""
    return _keys(config, listing, contaminating_files(config).files if config.decontaminate else [])[0]


def _keys(config: TextConfig, listing: Listing, sets: Sequence[TextFile]) -> tuple[str, str]:
    """What the reading depends on, and what the survey as a whole does."""
    usual = {name for name in LATER if getattr(config, name) == TextConfig.model_fields[name].default}
    settings = config.model_dump(mode="json", exclude={"paths", "cross_documents", "mixture", *usual})
    deciding = {name: settings.pop(name) for name in DECIDING if name in settings}
    digest = hashlib.sha256(json.dumps([FORMAT, VERSION, settings], sort_keys=True).encode())
    # Another version of a reader may give other text for the same bytes.
    for kind in sorted({file.kind for file in listing.files}):
        digest.update(f"\0{kind}\0{reader_version(kind)}\0".encode())
    for file in (*listing.files, *sets):
        digest.update(os.fsencode(file.path))
        digest.update(f"\0{file.kind}\0{file.codec}\0{file.size}\0{file.mtime_ns}\0{file.source}\0".encode())
    reading = digest.hexdigest()
    digest.update(json.dumps(deciding, sort_keys=True).encode())
    return reading, digest.hexdigest()
