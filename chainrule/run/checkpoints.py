"""The checkpoints of a run by their folders' names; what is in them is the business of who loads them."""

import re
from pathlib import Path

from chainrule.base import disk_faults

WHOLE = re.compile(r"step-(\d{8,})")


def step_folder(parent: Path, step: int) -> Path:
    """Where the checkpoint of `step` is: parent/step-00000250."""
    return parent / f"step-{step:08d}"


def steps_of(parent: Path) -> list[int]:
    """Steps that have a checkpoint in `parent`, ascending; by their names, since a clock can go backwards."""
    if not parent.is_dir():
        return []
    with disk_faults(parent, "listing"):
        matches = [WHOLE.fullmatch(entry.name) for entry in parent.iterdir() if entry.is_dir()]
    return sorted(int(match[1]) for match in matches if match)
