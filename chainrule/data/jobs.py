"""Pass 2 by units: what a worker needs to read one again, and the kept documents of both sides that it finds there."""

from collections.abc import Iterator
from contextlib import nullcontext
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from chainrule.base import DataError
from chainrule.config import TextConfig
from chainrule.data.documents import read_documents
from chainrule.data.files import TextFile
from chainrule.data.folders import shown
from chainrule.data.pieces import line_cut
from chainrule.data.split import Cut
from chainrule.data.streams import Span, Unfolded, ends_file
from chainrule.data.table import BAD, CUT, TRAIN, VALIDATION

Split = Literal["train", "validation"]


class Part(NamedTuple):
    """A piece of a kept document; `last` ends the document on this side of the split."""

    document: int
    content: bytes
    last: bool


class Job(NamedTuple):
    """A unit that holds kept documents."""

    config: TextConfig
    files: tuple[TextFile, ...]
    """Those of its files that have kept documents."""
    bounds: tuple[tuple[int, int], ...]
    """Of each file, its first document and the one after its last, counted from `document`."""
    document: int
    states: NDArray[np.uint8]
    sizes: NDArray[np.uint64]
    span: Span
    fragment: bool
    """The span lies inside one document, of which `before` bytes stand before it."""
    before: int
    cuts: tuple[Cut, ...]
    """Of its documents whose state is CUT."""
    unfolded: Unfolded | None = None
    """Where the content of a range of a compressed file lies; it is removed when it was read."""


def read_job(job: Job) -> Iterator[tuple[Split, Part]]:
    """The kept documents in pieces, each with its side.

    Raises DataError naming the file when one is not what it was when it was surveyed.
    """
    with job.unfolded.once() if job.unfolded else nullcontext():
        yield from _kept(job)


def _kept(job: Job) -> Iterator[tuple[Split, Part]]:
    for file, (first, beyond) in zip(job.files, job.bounds, strict=True):
        for part in _file_parts(job, file, first, beyond):
            state = job.states[part.document - job.document]
            if state == TRAIN:
                yield "train", Part(*part[:3])
            elif state == VALIDATION:
                yield "validation", Part(*part[:3])
            elif state == CUT:
                yield from _both_sides(job, part)


class _Piece(NamedTuple):
    """A part with its place in its document."""

    document: int
    content: bytes
    last: bool
    start: int


def _file_parts(job: Job, file: TextFile, first: int, beyond: int) -> Iterator[_Piece]:
    """All documents of one file; raises DataError unless they have the sizes of the survey."""
    sizes, bad = job.sizes[first:beyond].tolist(), (job.states[first:beyond] == BAD).tolist()
    index, size = 0, job.before
    for piece, _ in read_documents(file, job.config, job.span, job.unfolded):
        if index == len(sizes) or (piece.bad and not bad[index]):
            raise DataError(piece.bad) if piece.bad else _changed(file)
        yield _Piece(job.document + first + index, piece.content, piece.last, size)
        size += len(piece.content)
        if piece.last:
            if sizes[index] != size and not bad[index]:
                raise _changed(file)
            index, size = index + 1, 0
    if index != len(sizes) and not (job.fragment and not ends_file(file, job.span)):
        raise _changed(file)


def _both_sides(job: Job, part: _Piece) -> Iterator[tuple[Split, Part]]:
    """A piece of the document that begins in the training text and ends held out."""
    _, at, reach = next(cut for cut in job.cuts if cut.document == part.document)
    end = part.start + len(part.content)
    if part.start <= at < end:
        place = line_cut(part.content, at - part.start, reach)
        yield "train", Part(part.document, part.content[:place], True)
        yield "validation", Part(part.document, part.content[place:], part.last)
    else:
        yield "train" if end <= at else "validation", Part(part.document, part.content, part.last)


def _changed(file: TextFile) -> DataError:
    return DataError(f"{shown(file.path)}: its content changed after it was surveyed; prepare again")
