"""What must not go unnoticed: numbers that are not finite."""

from pathlib import Path

from chainrule.base import TrainingError, disk_faults, write_json
from chainrule.data import Windows
from chainrule.tokenizer import Tokenizer
from chainrule.train.step import StepResult

SHOWN_CHARACTERS = 2000
# Batches that are kept: enough to see what they have in common. A run that skips now and then for a million steps would
# else fill its disk with them.
MOST_KEPT = 32


def keep_skipped(
    folder: Path, step: int, first_sample: int, windows: Windows, result: StepResult, tokenizer: Tokenizer
) -> Path | None:
    """Writes the batch of a skipped step: token ids, beginning of its text, place in the data; returns where.

    None, with nothing written, when the folder holds MOST_KEPT others.
    """
    path = folder / f"step-{step:08d}.json"
    with disk_faults(folder, "creating"):
        folder.mkdir(exist_ok=True)
    if sum(other.name.startswith("step-") and other != path for other in folder.iterdir()) >= MOST_KEPT:
        return None
    text = tokenizer.decode(windows.ids[0].tolist())[:SHOWN_CHARACTERS]
    write_json(
        path,
        {
            "step": step,
            "first_sample": first_sample,
            "loss": str(result.loss),
            "grad_norm": str(result.grad_norm),
            "first_window": text,
            "ids": windows.ids.tolist(),
        },
    )
    return path


def stop_when_lost(bad_in_row: int, limit: int, step: int, kept: str) -> None:
    """Raises TrainingError when `limit` steps in a row were not finite."""
    if bad_in_row >= limit:
        raise TrainingError(
            f"{bad_in_row} steps in a row gave a non-finite loss or gradient (the last is step {step}, {kept}); the "
            "weights were not touched by them, and the last checkpoint is intact. Try a lower optimizer.lr, or "
            "machine.precision = float32"
        )
