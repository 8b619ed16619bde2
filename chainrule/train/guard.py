"""What must not go unnoticed: an untrained model that starts wrong, numbers that are not finite."""

import math
from pathlib import Path

from chainrule.base import TrainingError, disk_faults, write_json
from chainrule.data import Windows
from chainrule.tokenizer import Tokenizer
from chainrule.train.step import StepResult

# An untrained model should be nearly as surprised by each token as by a fair die with vocab_size sides. The logits of
# our start have a variance below 0.8, and half of that is what they may add.
START_TOLERANCE = 0.5
SHOWN_CHARACTERS = 2000
# Batches that are kept: enough to see what they have in common. A run that skips now and then for a million steps would
# else fill its disk with them.
MOST_KEPT = 32


def check_start(loss: float, vocab_size: int) -> str | None:
    """What is wrong with the loss of an untrained model (nats per token), or None when it is near ln(vocab_size)."""
    expected = math.log(vocab_size)
    if abs(loss - expected) <= START_TOLERANCE:
        return None
    if not math.isfinite(loss):
        cause = "the forward pass gives non-finite numbers: look at the first weights and at the device's arithmetic"
    elif loss > expected:
        cause = "the first logits are too far from zero: the weights start too large, or a scale is missing"
    else:
        cause = (
            "the model knows what it cannot know yet: targets leak into the inputs, or most of the text is one token"
        )
    return f"the untrained model's loss is {loss:.2f}, and ln(vocab_size) is {expected:.2f}: {cause}"


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
