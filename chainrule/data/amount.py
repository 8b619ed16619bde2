"""Whether there is far too little text, told from the sizes of its files before anything of it is read."""

import os
from collections.abc import Iterator
from pathlib import Path

from chainrule.base import DataError
from chainrule.config import TextConfig
from chainrule.data.files import NAMED_TEXTS, roots_of
from chainrule.data.folders import walk
from chainrule.data.formats import Names
from chainrule.data.remote import is_remote

# Kinds whose text is at most as long as the file, or hardly longer.
AS_LONG = frozenset({"text", "jsonl", "csv", "tsv", "html", "subtitles", "ipynb", "eml", "mbox"})


def refuse_little(config: TextConfig, least_bytes: int, enough: str) -> None:
    """Raises DataError when all files together surely have less than `least_bytes` of text; `enough` is a start.

    No more of a folder is looked at than shows that there is enough, and compressed or packed files always are.
    """
    n_bytes = 0
    for kind, codec, size in _sizes(config):
        n_bytes += size
        if n_bytes >= least_bytes or codec or kind not in AS_LONG:
            return
    # None at all has another sentence.
    if n_bytes:
        raise DataError(f"{n_bytes:,} bytes are too little to train on; {enough} is a start")


def _sizes(config: TextConfig) -> Iterator[tuple[str, str, int]]:
    """Kind, compression and size of each file of text; an unknown kind for what is not looked at here."""
    names = Names(frozenset(config.suffixes))
    for root in roots_of(config.paths):
        if root in NAMED_TEXTS or is_remote(root):
            yield "named", "", 0
        elif Path(root).is_dir():
            for entry in walk(root, names, _silent, _silent):
                yield entry.kind, entry.codec, _size(entry.path)
        else:
            kind, codec = names.kind_and_codec(Path(root).name)
            yield kind or "text", codec, _size(root)


def _size(path: str) -> int:
    try:
        return os.stat(path).st_size  # noqa: PTH116 (as in files.py)
    except OSError:
        return 0


def _silent(reason: str, path: str) -> None:
    """Whoever reads it tells."""
