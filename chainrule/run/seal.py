"""The sealed record of a run: SHA256SUMS has the checksum of each small file, and a flipped bit or an edit is known.

`sha256sum -c SHA256SUMS` checks it as well. A checkpoint keeps a copy of what the run was at its step, under checksums
of its own: who finds a file that is not as the run wrote it takes the copy, or does without, and says so. Runs from
before December 2026 have no such record, and their files are believed as they stand.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from chainrule.base import (
    SUMS,
    RunError,
    disk_faults,
    json_escape,
    read_sums,
    sums_of,
    with_letters_told,
    write_bytes,
    write_sums,
)
from chainrule.run.checkpoints import step_folder, steps_of
from chainrule.run.folder import RunFolder
from chainrule.run.journal import end_of
from chainrule.run.line import NOTHING
from chainrule.run.sound import json_value

# Who reads while the run writes finds the list renewed in between; a second look then finds both in step.
LOOKS = 3


def write_run_file(run: RunFolder, path: Path, content: bytes) -> None:
    """Writes one of the run's small files, whole or not at all, and its checksum.

    A kill at any instant leaves a file that fits: while it is replaced, the list has the checksums of both.
    """
    name, new = _name(run, path), hashlib.sha256(content).hexdigest()
    known = read_sums(run.path) or {}
    if name in known and path.is_file() and new not in known[name]:
        write_sums(run.path, {**known, name: (known[name][-1], new)})
    write_bytes(path, content)
    write_sums(run.path, {**known, name: (new,)})


def write_run_json(run: RunFolder, path: Path, content: Mapping[str, Any]) -> None:
    """`write_run_file` of indented JSON; NaN and infinity are refused with ValueError."""
    text = json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    # What a terminal would obey, and half a letter from a command line that is no UTF-8, as JSON's own escape for it.
    write_run_file(run, path, with_letters_told(text, json_escape).encode())


def seal_files(run: RunFolder, *paths: Path) -> None:
    """Takes the checksums of files that others wrote (tokenizer, manifest); those that are not there are left out."""
    names = [_name(run, path) for path in paths if path.is_file()]
    write_sums(run.path, {**(read_sums(run.path) or {}), **sums_of(run.path, names)})


def sealed_content(run: RunFolder, path: Path) -> bytes | None:
    """The file's content as the run wrote it: its own, or a checkpoint's copy of it; None where neither is there.

    What has no checksum is taken as it stands, and what was removed is not there.
    """
    found = as_sealed(run, path) if path.is_file() else None
    if found is None:
        return None
    with disk_faults(found, "reading"):
        return found.read_bytes()


def sealed_object(run: RunFolder, path: Path) -> dict[str, Any]:
    """The object in a JSON file of the run, as the run wrote it; empty when there is none, or none that is sound."""
    content = sealed_content(run, path)
    try:
        found = None if content is None else json_value(content)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def as_sealed(run: RunFolder, path: Path) -> Path | None:
    """Where the file's content stands as the run wrote it: itself, or a checkpoint's copy; None where nowhere.

    What has no checksum is taken as it stands, also where there is nothing.
    """
    if is_sealed_file(run, path):
        return path
    known = (read_sums(run.path) or {}).get(_name(run, path), ())
    return next((copy for copy in _copies(run, path) if _digest(copy) in known), None)


def sealed_path(run: RunFolder, path: Path) -> Path:
    """`as_sealed`; raises RunError where the content is lost."""
    found = as_sealed(run, path)
    if found is None:
        raise RunError(f"{path} was edited or damaged since the run wrote it, or is gone, and no checkpoint has a copy")
    return found


def is_sealed_file(run: RunFolder, path: Path) -> bool:
    """Whether the file is as the run wrote it, or as a checkpoint keeps it; true of one without a checksum."""
    name = _name(run, path)
    for _ in range(LOOKS):
        before = read_sums(run.path)
        known = (before or {}).get(name)
        if known is None or (path.is_file() and _digest(path) in known):
            return True
        if read_sums(run.path) == before:
            break
    # Put back by hand from a checkpoint, as an error tells a person to do.
    return path.is_file() and any(copy.read_bytes() == path.read_bytes() for copy in _copies(run, path))


def is_unsealed(run: RunFolder) -> bool:
    """Whether the run had a list of checksums that is gone: machine.json says that it had, or rows with checksums do.

    Runs from before December 2026 never had one.
    """
    if read_sums(run.path) != {}:
        return False
    told = sealed_object(run, run.machine).get("sealed") is True
    return told or any(end_of(path) != NOTHING for path in (run.events, run.metrics))


def unsealed_files(run: RunFolder) -> list[str]:
    """What of the run's small files is not as the run wrote it, each in words."""
    known = read_sums(run.path)
    if known is None or is_unsealed(run):
        what = "is gone" if known == {} else "is damaged"
        return [f"{SUMS}, the list of checksums, {what}: the run's small files are not checked"]
    found = []
    for name in sorted(known):
        path = run.path / name
        # To remove the prepared text, to free its space, is nobody's damage.
        if not is_sealed_file(run, path) and (path.is_file() or path != run.manifest):
            what = "was edited or damaged since the run wrote it" if path.is_file() else "is gone"
            copy = as_sealed(run, path)
            instead = f"the copy in {copy.parent.name} is used" if copy else "it is not used"
            found.append(f"{name} {what}: {instead}")
    return found


def _copies(run: RunFolder, path: Path) -> Iterator[Path]:
    """What the checkpoints keep of the file, the newest first."""
    folders = (step_folder(run.checkpoints, step) for step in reversed(steps_of(run.checkpoints)))
    return (folder / path.name for folder in folders if (folder / path.name).is_file())


def _digest(path: Path) -> str:
    with disk_faults(path, "reading"):
        try:
            return hashlib.sha256(path.read_bytes()).hexdigest()
        except FileNotFoundError:  # between two looks
            return ""


def _name(run: RunFolder, path: Path) -> str:
    return path.relative_to(run.path).as_posix()
