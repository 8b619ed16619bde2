"""All documents of a text as they are, for whoever judges a model on it: in order, once, copies too, none held out."""

from collections.abc import Callable, Iterator
from typing import NamedTuple

from chainrule.config import TextConfig
from chainrule.data.documents import read_documents
from chainrule.data.files import TextFile, list_files
from chainrule.data.folders import shown
from chainrule.data.pieces import Piece
from chainrule.data.policy import under_policy
from chainrule.data.streams import BinaryFileError


class DocumentPart(NamedTuple):
    """A piece of one document; documents come one after the other, `number` counts those of a file from 1."""

    source: str
    file: str
    number: int
    content: bytes
    last: bool
    bad: bool = False
    """The document cannot be used: what came of it already is to be forgotten. Always on a last part."""


def all_documents(config: TextConfig, on_left_out: Callable[[str], None]) -> Iterator[DocumentPart]:
    """Every document of `config.paths`, with neither deduplication nor split; nothing is written anywhere.

    What is passed over (a binary file in a folder, a suffix that is no text, a row that on_bad = skip forgives) and
    what on_bad = replace mended is told to `on_left_out`, a sentence each. Raises DataError for what `on_bad` forbids,
    and when a path gives nothing.
    """
    listing = list_files(config.paths, config.on_bad, config)
    for reason, count in listing.ignored.most_common():
        on_left_out(f"{count:,} of the entries were passed over as no text: {reason}")
    for reason in listing.left_out:
        on_left_out(reason)
    for file in listing.files:
        try:
            yield from _parts(file, config, on_left_out)
        except BinaryFileError as fault:
            if file.named:
                raise
            on_left_out(str(fault))


def _parts(file: TextFile, config: TextConfig, on_left_out: Callable[[str], None]) -> Iterator[DocumentPart]:
    number = 1
    for piece in _pieces(file, config):
        if piece.bad is not None:
            on_left_out(piece.bad)
        elif piece.mended is not None:
            on_left_out(f"{piece.mended}; replaced by U+FFFD")
        yield DocumentPart(file.source, shown(file.path), number, piece.content, piece.last, piece.bad is not None)
        number += piece.last


def _pieces(file: TextFile, config: TextConfig) -> Iterator[Piece]:
    for piece, _ in under_policy(read_documents(file, config), config.on_bad):
        yield piece
