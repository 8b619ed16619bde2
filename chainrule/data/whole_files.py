"""Formats whose files are read whole: from the bytes of a file to its texts.

To add one: a function and its row here. The function raises ValueError for what is no such file, or has no text; in a
folder such a file is passed over and told, and one that was named is refused.
"""

import importlib.metadata
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from importlib.util import find_spec

from chainrule.data.king_james import chapter_texts
from chainrule.data.letters import letter_texts
from chainrule.data.notebooks import notebook_texts
from chainrule.data.packed_documents import packed_texts
from chainrule.data.pdf_pages import pdf_texts
from chainrule.data.rich_text import rtf_texts
from chainrule.data.standard_library import topic_texts
from chainrule.data.subtitles import subtitle_texts
from chainrule.data.web_pages import page_texts

EXTRA = "documents"
# By hand: raised when one of these readers gives other text for the same bytes.
VERSION = 3


@dataclass(frozen=True)
class WholeFile:
    """A format: its texts in order, by which suffixes it is known, and whether its bytes are no text themselves."""

    texts: Callable[[bytes], Iterator[str]]
    suffixes: tuple[str, ...] = ()
    binary: bool = False
    packages: tuple[str, ...] = ()
    """What of the extra `documents` it cannot be read without."""
    helpers: tuple[str, ...] = ()
    """What of the extra it is read better with."""


WHOLE_FILES: Mapping[str, WholeFile] = {
    # Modules of literals that hold texts; they are named, and known by no suffix.
    "topics": WholeFile(topic_texts),
    "chapters": WholeFile(chapter_texts),
    "pdf": WholeFile(pdf_texts, (".pdf",), binary=True, packages=("pypdf",)),
    "docx": WholeFile(packed_texts, (".docx", ".docm"), binary=True, packages=("defusedxml",)),
    "odt": WholeFile(packed_texts, (".odt",), binary=True, packages=("defusedxml",)),
    "epub": WholeFile(packed_texts, (".epub",), binary=True, packages=("defusedxml", "selectolax")),
    "rtf": WholeFile(rtf_texts, (".rtf",), binary=True, packages=("striprtf",)),
    "html": WholeFile(page_texts, (".html", ".htm", ".xhtml"), packages=("selectolax",)),
    "eml": WholeFile(letter_texts, (".eml",), helpers=("selectolax",)),
    "ipynb": WholeFile(notebook_texts, (".ipynb",)),
    "subtitles": WholeFile(subtitle_texts, (".srt", ".vtt")),
}
# A mailbox is read message by message (mailboxes.py), each of them as a letter.
LIKE = {"mbox": "eml"}


def missing_packages() -> dict[str, str]:
    """The kinds that cannot be read here, each with the first package that it lacks."""
    missing = {
        kind: [package for package in one.packages if find_spec(package) is None] for kind, one in WHOLE_FILES.items()
    }
    return {kind: packages[0] for kind, packages in missing.items() if packages}


def reader_version(kind: str) -> str:
    """What the text of such a file depends on beside its bytes; empty for what is read as it is."""
    one = WHOLE_FILES.get(LIKE.get(kind, kind))
    if one is None:
        return ""
    # Python's own parsers of mail and literals change with it.
    versions = [f"{VERSION} python {sys.version_info[0]}.{sys.version_info[1]}"]
    for package in (*one.packages, *one.helpers):
        known = find_spec(package) is not None
        versions.append(f"{package} {importlib.metadata.version(package) if known else 'none'}")
    return ", ".join(versions)
