"""One prepared text in several folders: hard links to its shards, or copies where the file system has none."""

import os
import shutil
from pathlib import Path

from chainrule.base import disk_faults, whole_file
from chainrule.data.journal import OURS, STUMP
from chainrule.data.manifest import FILE_NAME, load_manifest


def link_shards(source: Path, target: Path) -> int:
    """Makes `target` hold the prepared text of `source`; returns the bytes that had to be copied.

    The manifest comes last, so that a folder with a manifest is whole; shards of another text go first.
    """
    manifest = load_manifest(source)
    wanted = {entry.file for entry in manifest.shards}
    copied = 0
    with disk_faults(target, "linking prepared text into"):
        target.mkdir(parents=True, exist_ok=True)
        (target / FILE_NAME).unlink(missing_ok=True)
        for path in target.iterdir():
            if STUMP.fullmatch(path.name) or OURS.fullmatch(path.name):
                path.unlink()
        for name in sorted(wanted):
            try:
                os.link(source / name, target / name)
            except OSError:
                # No links between file systems, on some network folders, or beyond their number for one file.
                shutil.copy2(source / name, target / name)
                copied += (target / name).stat().st_size
        with whole_file(target / FILE_NAME) as stream:
            stream.write((source / FILE_NAME).read_bytes())
    return copied
