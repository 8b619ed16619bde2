"""What of a run can go without a loss: starts that saved nothing, checkpoints that nobody asks for, optimizer state."""

from dataclasses import dataclass
from pathlib import Path

from chainrule.base import CheckpointError, folder_bytes, write_bytes
from chainrule.checkpoint.load import verify_checkpoint
from chainrule.checkpoint.manifest import MANIFEST, CheckpointManifest
from chainrule.checkpoint.names import clean_stumps, remove_folder, removed_stumps
from chainrule.checkpoint.open import best_checkpoint
from chainrule.run import RunFolder, freed_bytes, is_running, read_summary, remove_run, run_lock, step_folder, steps_of

OPTIMIZER = "optimizer.safetensors"


@dataclass(frozen=True)
class Spare:
    """What `remove_spare` takes from one run: all of it, or whole checkpoints and the optimizer's state of others."""

    run: RunFolder
    whole: bool = False
    checkpoints: tuple[Path, ...] = ()
    optimizers: tuple[Path, ...] = ()
    stumps: bool = False
    n_bytes: int = 0

    @property
    def words(self) -> str:
        """What goes, for the person who is asked."""
        if self.whole:
            return "all of it: no step was saved"
        count = len(self.checkpoints)
        parts = [f"{count} older checkpoint{'s' if count > 1 else ''}"] if count else []
        if self.optimizers:
            parts.append("the optimizer's state (its weights stay; it cannot be resumed)")
        if self.stumps:
            parts.append("what killed saves and removals left")
        return ", ".join(parts)


def spare_of(run: RunFolder, *, optimizer: bool = False) -> Spare:
    """What of the run is neither its best nor its newest checkpoint; with `optimizer` of a finished run that too.

    Nothing of a run that a process writes to, and nothing of one whose newest checkpoints are all damaged.
    """
    if is_running(run):
        return Spare(run)
    steps = steps_of(run.checkpoints)
    if not steps:
        return Spare(run, whole=True, n_bytes=freed_bytes(run))
    try:
        verify_checkpoint(step_folder(run.checkpoints, steps[-1]))
        kept = {best_checkpoint(run).step, steps[-1]}
    except CheckpointError:
        return Spare(run)
    doomed = tuple(step_folder(run.checkpoints, step) for step in steps if step not in kept)
    stumps = sum(map(folder_bytes, removed_stumps(run.checkpoints)))
    states: tuple[Path, ...] = ()
    if optimizer and read_summary(run).status == "finished":
        there = (step_folder(run.checkpoints, step) / OPTIMIZER for step in sorted(kept))
        states = tuple(path for path in there if path.is_file())
    size = stumps + sum(map(folder_bytes, doomed)) + sum(path.stat().st_size for path in states)
    return Spare(run, checkpoints=doomed, optimizers=states, stumps=bool(stumps), n_bytes=size)


def remove_spare(spare: Spare) -> None:
    """Removes it; a kill on the way leaves every checkpoint whole or gone. Raises RunError while a process writes."""
    if spare.whole:
        remove_run(spare.run)
        return
    with run_lock(spare.run):
        clean_stumps(spare.run.checkpoints)
        for folder in spare.checkpoints:
            remove_folder(folder)
        for path in spare.optimizers:
            _forget(path)


def _forget(path: Path) -> None:
    """Takes one file from its checkpoint: from the list first, so that what is listed is there at every instant."""
    manifest = verify_checkpoint(path.parent)
    files = {name: entry for name, entry in manifest.files.items() if name != path.name}
    write_bytes(path.parent / MANIFEST, CheckpointManifest(manifest.step, files).render())
    path.unlink()
