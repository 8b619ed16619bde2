"""What a run is called, and which one is meant when none is named."""

import re
import shlex
from collections.abc import Sequence
from pathlib import Path

from chainrule.base import RunError
from chainrule.run.begin import check_free
from chainrule.run.folder import RunFolder


def new_run(name: str | None, folder: Path, paths: Sequence[str], *, suffix: str = "") -> RunFolder:
    """The folder of a run to be: by its name, or called after the text, with `suffix` and the next free number.

    An absolute path is taken as it is. Raises RunError when a run of that name is there already, and for what is no
    name (nothing at all, a relative path), with the options that mean the same.
    """
    if name is None:
        return next_free(folder, name_of(paths) + suffix)
    name = name.rstrip("/") or name
    given = Path(name)
    if given.name in ("", "..") or (given.name != name and not given.is_absolute()):
        word = shlex.quote(given.name if given.name not in ("", "..") else "NAME")
        raise RunError(
            f"--name {name!r} is no name of a folder in {folder}/; give one word, or another folder with it: "
            f"--runs-folder {shlex.quote(str(given.parent))} --name {word}"
        )
    path = given if given.is_absolute() else folder / name
    check_free(path)
    return RunFolder(path)


def name_of(paths: Sequence[str]) -> str:
    """A word for the text: the last part of the first path that is no pattern."""
    first = Path(paths[0]) if paths else Path("run")
    parts = [part for part in first.expanduser().absolute().parts if not re.search(r"[*?\[\]]", part)]
    stem = parts[-1].split(".")[0] if len(parts) > 1 else "run"
    return re.sub(r"[^\w-]+", "-", stem).strip("-")[:40] or "run"


def next_free(folder: Path, word: str) -> RunFolder:
    """word-1, word-2, …: the first that is not there."""
    number = 1
    while (folder / f"{word}-{number}").exists():
        number += 1
    return RunFolder(folder / f"{word}-{number}")
