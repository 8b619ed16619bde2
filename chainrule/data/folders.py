"""The text files inside a folder."""

import os
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from chainrule.data.formats import kind_and_codec
from chainrule.data.policy import refuse_system_fault
from chainrule.run import RunFolder


class Entry(NamedTuple):
    """A file whose name is one of a text."""

    path: str
    kind: str
    codec: str
    top: str
    """The entry of the walked folder that it is, or is below."""


def shown(path: str | os.PathLike[str]) -> str:
    """The path as a message can bear it: one line, valid UTF-8, whatever bytes the name has."""
    if (plain := os.fspath(path)).isprintable():
        return plain
    text = os.fsencode(path).decode("utf-8", "backslashreplace")
    return "".join(letter if letter.isprintable() else letter.encode("unicode_escape").decode() for letter in text)


def walk(root: str, ignored: Counter[str], leave_out: Callable[[str, str], None]) -> Iterator[Entry]:
    """Text files below `root` in the order of their names' bytes; links to folders are followed, each folder once.

    What is passed over is counted in `ignored` by its reason; `leave_out` is called with reason and remedy for a folder
    that cannot be listed.
    """
    entered = set[tuple[int, int]]()
    waiting = [(root, "")]
    while waiting:
        folder, top = waiting.pop()
        try:
            entries = _entries(folder) if _first_time(folder, entered) else []
        except OSError as fault:
            refuse_system_fault(folder, fault)
            leave_out(f"{shown(folder)}: cannot be listed: {fault.strerror}", "let it be read")
            continue
        if _is_ours(Path(folder), {entry.name for entry in entries}):
            ignored["run folder"] += 1
            continue
        below = []
        for entry in entries:
            if entry.name.startswith(".") or entry.name == "__pycache__":
                ignored["hidden"] += 1
            elif _is_folder(entry):
                below.append((entry.path, top or shown(entry.name)))
            else:
                kind, codec = kind_and_codec(entry.name)
                if kind is None:
                    ignored[shown(Path(entry.name).suffix.lower() or "no suffix")] += 1
                else:
                    yield Entry(entry.path, kind, codec, top or shown(entry.name))
        waiting.extend(reversed(below))


def _entries(folder: str) -> list[os.DirEntry[str]]:
    with os.scandir(folder) as scan:
        return sorted(scan, key=lambda entry: os.fsencode(entry.name))


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # A link that leads back to itself; it is told of where files are looked at.
        return False


def _first_time(folder: str, entered: set[tuple[int, int]]) -> bool:
    state = Path(folder).stat()
    known = (state.st_dev, state.st_ino) in entered
    entered.add((state.st_dev, state.st_ino))
    return not known


def _is_ours(folder: Path, names: set[str]) -> bool:
    """True for what a run or a preparation wrote: runs/ often stands beside the text, and is none."""
    if "survey" in names and (folder / "survey" / "documents.bin").exists():
        return True
    run = RunFolder(folder)
    if run.config.name not in names:
        return False
    return run.config.is_file() and (run.data.exists() or run.tokenizer.exists() or run.events.exists())
