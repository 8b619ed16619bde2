"""The text files inside a folder."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from chainrule.data.formats import Names, passed_as
from chainrule.data.git_ignoring import NAME as GITIGNORE
from chainrule.data.git_ignoring import Rules, left_out, rules_of
from chainrule.data.policy import refuse_system_fault
from chainrule.run import RunFolder

# What package managers and compilers put beside a person's own files.
LEFT_OUT = frozenset({"node_modules", "bower_components", "site-packages", "__MACOSX", "dist", "build"})


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


def walk(
    root: str, names: Names, pass_over: Callable[[str, str], None], leave_out: Callable[[str, str], None]
) -> Iterator[Entry]:
    """Text files below `root` in the order of their names' bytes; links to folders are followed, each folder once.

    `pass_over` is told reason and path of names that are none of a text, of what .gitignore leaves out, folders that
    hold other people's code (LEFT_OUT, virtual environments) and run folders; `leave_out` reason and remedy for a
    folder that cannot be listed.
    """
    entered = set[tuple[int, int]]()
    waiting = [_Folder(root)]
    while waiting:
        folder = waiting.pop()
        try:
            entries = _entries(folder.path) if _first_time(folder.path, entered) else []
        except OSError as fault:
            refuse_system_fault(folder.path, fault)
            leave_out(f"{shown(folder.path)}: cannot be listed: {fault.strerror}", "let it be read")
            continue
        inside = {entry.name for entry in entries}
        if reason := _not_entered(folder, inside):
            pass_over(reason, folder.path)
            continue
        rules = folder.rules + (rules_of(folder.path, folder.base) if GITIGNORE in inside else ())
        below = []
        for entry in entries:
            is_folder = _is_folder(entry)
            if reason := _passed_over(entry.name, is_folder=is_folder):
                pass_over(reason, entry.path)
            elif rules and left_out(rules, folder.base + entry.name, is_folder=is_folder):
                pass_over("named in .gitignore", entry.path)
            elif is_folder:
                top = folder.top or shown(entry.name)
                below.append(_Folder(entry.path, top, f"{folder.base}{entry.name}/", rules))
            else:
                kind, codec = names.kind_and_codec(entry.name)
                if kind is None or kind in names.missing:
                    pass_over(shown(passed_as(entry.name, names)), entry.path)
                else:
                    yield Entry(entry.path, kind, codec, folder.top or shown(entry.name))
        waiting.extend(reversed(below))


class _Folder(NamedTuple):
    """A folder that waits to be entered."""

    path: str
    top: str = ""
    """The entry of the walked folder that it is below."""
    base: str = ""
    """Its path below the walked folder, with a slash at its end."""
    rules: Rules = ()
    """Those of all folders above it."""


def _not_entered(folder: _Folder, inside: set[str]) -> str | None:
    """Why what is in this folder is no text of the person's own."""
    if _is_ours(Path(folder.path), inside):
        return "run folder"
    return "virtual environment" if "pyvenv.cfg" in inside and folder.base else None


def _passed_over(name: str, *, is_folder: bool) -> str | None:
    if is_folder and name in LEFT_OUT:
        return f"folder {name}"
    return "hidden" if name.startswith(".") or name == "__pycache__" else None


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
