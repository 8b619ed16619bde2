"""Formats whose files are read whole: from the bytes of a file to its texts.

To add one: a function and its row here. The function raises ValueError for what is no such file.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from chainrule.data.king_james import chapter_texts
from chainrule.data.standard_library import topic_texts


@dataclass(frozen=True)
class WholeFile:
    """A format: its texts in order, by which suffixes it is known, and whether its bytes are no text themselves."""

    texts: Callable[[bytes], Iterator[str]]
    suffixes: tuple[str, ...] = ()
    binary: bool = False


WHOLE_FILES: Mapping[str, WholeFile] = {
    # Modules of literals that hold texts; they are named, and known by no suffix.
    "topics": WholeFile(topic_texts),
    "chapters": WholeFile(chapter_texts),
}
