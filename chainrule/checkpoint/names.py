"""Stumps of checkpoints that a kill left: what is one, and how it goes away."""

import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from secrets import token_hex

from chainrule.base import disk_faults, fsync_folder

STUMP = re.compile(r"\.(new|old|removed)-(step-\d{8,})-\d+-[0-9a-f]{8}")


def stump_name(kind: str, folder: Path) -> Path:
    """A name beside `folder` that no reader takes for a checkpoint; `kind` is new, old or removed."""
    return folder.with_name(f".{kind}-{folder.name}-{os.getpid()}-{token_hex(4)}")


def remove_folder(folder: Path) -> None:
    """Deletes a checkpoint such that no instant shows a half one under its own name."""
    with disk_faults(folder, "removing"):
        stump = stump_name("removed", folder)
        folder.rename(stump)
        fsync_folder(folder.parent)
        shutil.rmtree(stump)


def clean_stumps(parent: Path) -> list[Path]:
    """Removes what killed saves and deletions left in `parent`, and returns those names.

    A checkpoint that was being replaced when the process died gets its name back. Call it only while no other process
    saves there (under the run's lock).
    """
    stumps = list(_stumps(parent))
    for stump, kind, name in stumps:
        with disk_faults(stump, "cleaning up"):
            if kind == "old" and not (parent / name).exists():
                stump.rename(parent / name)
                fsync_folder(parent)
            else:
                shutil.rmtree(stump)
    return [stump for stump, _, _ in stumps]


def removed_stumps(parent: Path) -> list[Path]:
    """Those of them that `clean_stumps` would remove, and not give their name back."""
    return [stump for stump, kind, name in _stumps(parent) if kind != "old" or (parent / name).exists()]


def _stumps(parent: Path) -> Iterator[tuple[Path, str, str]]:
    if parent.is_dir():
        for entry in sorted(parent.iterdir()):
            match = STUMP.fullmatch(entry.name)
            if match and entry.is_dir():
                yield entry, match[1], match[2]
