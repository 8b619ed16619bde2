"""Pass 1 as a whole: what was found in the files, what of it is kept, and on which side of the split."""

import hashlib
import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from chainrule.base import DataError, disk_faults, write_bytes, write_json
from chainrule.config import TextConfig
from chainrule.data.census import decide, figures, refuse_empty
from chainrule.data.documents import read_documents
from chainrule.data.files import Listing, TextFile, list_files
from chainrule.data.folders import shown
from chainrule.data.pieces import line_cut
from chainrule.data.policy import under_policy
from chainrule.data.scan import Progress, Scan
from chainrule.data.similarity import VERSION
from chainrule.data.table import BAD, CUT, TRAIN, VALIDATION, TableFiles

Split = Literal["train", "validation"]
FORMAT = 1


class Part(NamedTuple):
    """A piece of a kept document; `last` ends the document on this side of the split."""

    document: int
    content: bytes
    last: bool


@dataclass(frozen=True)
class Survey:
    """What was found, and which documents are kept on which side; made by `survey`."""

    config: TextConfig
    files: Sequence[TextFile] = field(repr=False)
    table: NDArray[Any] = field(repr=False)
    states: NDArray[np.uint8] = field(repr=False)
    cut: tuple[int, int] | None
    report: dict[str, Any]
    key: str
    """Changes with the settings, and with any file's name, size or time."""

    @property
    def sources(self) -> list[str]:
        """Names of the sources (the top-level files or folders), in reading order."""
        return _sources(self.files)

    def texts(self, split: Split) -> Iterator[str]:
        """The kept documents of one side, read again; a long one comes in several texts of up to 256 KiB."""
        for part in self.parts(split):
            if part.content:
                yield part.content.decode()

    def parts(self, split: Split, start: int = 0) -> Iterator[Part]:
        """The same as bytes with the document's number, from document `start` on.

        Raises DataError naming the file when one is not what it was when it was surveyed.
        """
        wanted = np.isin(self.states, (CUT, TRAIN if split == "train" else VALIDATION))
        wanted[:start] = False
        firsts = np.searchsorted(self.table["file"], np.arange(len(self.files) + 1))
        for index, file in enumerate(self.files):
            first, beyond = int(firsts[index]), int(firsts[index + 1])
            if wanted[first:beyond].any():
                yield from _one_side(self._file_parts(file, first, wanted[first:beyond]), split, self.cut)

    def split_bytes(self, split: Split) -> int:
        """Bytes of text on one side, to within the length of the line at which a document is cut."""
        whole = int(self.table["bytes"][self.states == (TRAIN if split == "train" else VALIDATION)].sum())
        if self.cut is None:
            return whole
        document, byte = self.cut
        return whole + (byte if split == "train" else int(self.table["bytes"][document]) - byte)

    def _file_parts(self, file: TextFile, first: int, wanted: NDArray[np.bool_]) -> Iterator[Part]:
        """The wanted documents of one file; raises DataError unless all its documents have the sizes of the survey."""
        # Columns, because rows of a mapped table cost microseconds each.
        sizes, bad = self.table["bytes"][first : first + len(wanted)], self.states[first : first + len(wanted)] == BAD
        index, size = 0, 0
        for piece, _ in under_policy(read_documents(file, self.config), self.config.on_bad):
            if index == len(wanted):
                raise _changed(file)
            size += len(piece.content)
            if wanted[index]:
                yield Part(first + index, piece.content, piece.last)
            if piece.last:
                if sizes[index] != size and not bad[index]:
                    raise _changed(file)
                index, size = index + 1, 0
        if index != len(wanted):
            raise _changed(file)


def survey(config: TextConfig, folder: Path, *, workers: int = 0, on_progress: Progress | None = None) -> Survey:
    """Reads all files once and decides which documents are kept and which are held out.

    Its tables stay in `folder`/survey; a survey of the same files with the same settings is taken from there, and an
    interrupted one goes on. `workers`: processes; 0 chooses. Raises DataError for every file or row that cannot be used
    and that `config.on_bad` does not forgive; those forgiven are listed in survey/left_out.jsonl.
    """
    listing = list_files(config.paths, config.on_bad)
    key = _key(config, listing)
    place = folder / "survey"
    with disk_faults(place, "creating"):
        place.mkdir(parents=True, exist_ok=True)
    known = _saved(config, listing, place, key)
    if known is not None:
        return known
    # Should this be cut off, the tables below no longer fit what an earlier survey decided.
    (place / "survey.json").unlink(missing_ok=True)
    scan = Scan(listing.files, config, place, key)
    counts = scan.run(workers, on_progress)
    scan.note_left_out(listing.left_out)
    held = decide(scan.tables, config)
    refuse_empty(held.states, counts, config)
    report = figures(listing, counts, scan.tables.read(), held, _sources(listing.files))
    write_bytes(place / "states.bin", held.states.tobytes())
    write_json(place / "survey.json", {"key": key, "cut": held.cut, "report": report})
    scan.forget()
    return Survey(config, listing.files, scan.tables.read(), held.states, held.cut, report, key)


def _saved(config: TextConfig, listing: Listing, place: Path, key: str) -> Survey | None:
    """The finished survey in `place`, when it is one of these files with these settings."""
    try:
        saved = json.loads((place / "survey.json").read_text())
        states = np.fromfile(place / "states.bin", np.uint8)
        table = TableFiles(place).read()
    except (OSError, ValueError):
        return None
    if saved["key"] != key or len(states) != len(table):
        return None
    cut = None if saved["cut"] is None else (saved["cut"][0], saved["cut"][1])
    return Survey(config, listing.files, table, states, cut, saved["report"], key)


def _one_side(parts: Iterator[Part], split: Split, cut: tuple[int, int] | None) -> Iterator[Part]:
    """The parts, without what of the cut document is on the other side."""
    seen = 0
    for part in parts:
        if cut is None or part.document != cut[0]:
            yield part
            continue
        start, seen, at = seen, seen + len(part.content), cut[1]
        if start <= at < seen:
            place = line_cut(part.content, at - start)
            train = split == "train"
            yield (
                part._replace(content=part.content[:place], last=True)
                if train
                else part._replace(content=part.content[place:])
            )
        elif (seen <= at) == (split == "train"):
            yield part


def _sources(files: Sequence[TextFile]) -> list[str]:
    return list(dict.fromkeys(file.source for file in files))


def _key(config: TextConfig, listing: Listing) -> str:
    settings = config.model_dump(mode="json", exclude={"paths", "cross_documents"})
    digest = hashlib.sha256(json.dumps([FORMAT, VERSION, settings], sort_keys=True).encode())
    for file in listing.files:
        digest.update(os.fsencode(file.path))
        digest.update(f"\0{file.kind}\0{file.codec}\0{file.size}\0{file.mtime_ns}\0{file.source}\0".encode())
    return digest.hexdigest()


def _changed(file: TextFile) -> DataError:
    return DataError(f"{shown(file.path)}: its content changed after it was surveyed; prepare again")
