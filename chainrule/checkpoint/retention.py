"""How long a checkpoint lives: the newest few and the chosen ones; nothing goes before a newer one is proved whole."""

from collections.abc import Collection
from pathlib import Path

from chainrule.base import CheckpointError, DiskError
from chainrule.checkpoint.load import verify_checkpoint
from chainrule.checkpoint.names import remove_folder
from chainrule.run import step_folder, steps_of


def prune_checkpoints(parent: Path, keep_last: int, keep: Collection[int] = ()) -> list[Path]:
    """Deletes all checkpoints but the newest `keep_last` (at least 1) and the steps in `keep`; returns what it deleted.

    "Newest" counts from the newest that verifies, read back from the disk for this: damaged ones above it stay, and
    when none verifies nothing is deleted.
    """
    if keep_last < 1:
        raise ValueError(f"keep_last={keep_last} would leave no checkpoint; keep at least 1")
    steps = steps_of(parent)
    while steps and not _is_whole(step_folder(parent, steps[-1])):
        steps.pop()
    doomed = [step_folder(parent, step) for step in steps[:-keep_last] if step not in keep]
    for folder in doomed:
        remove_folder(folder)
    return doomed


def _is_whole(folder: Path) -> bool:
    try:
        verify_checkpoint(folder)
    except (CheckpointError, DiskError):
        return False
    return True
