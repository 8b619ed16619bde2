"""What must not go unnoticed: numbers that are not finite."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from chainrule.base import DataError, TrainingError, disk_faults, write_json
from chainrule.data import Windows
from chainrule.run import RunFolder, resume_command, steps_of
from chainrule.tokenizer import Tokenizer
from chainrule.train.replay import Unlike
from chainrule.train.step import StepResult

SHOWN_CHARACTERS = 2000
# Weights are looked at after every step. A moment that is not finite makes the weights so at its next update, all but
# AdamW's second one when it is infinite: that stops its weight for ever, and is found within so many steps.
MOMENTS_EVERY = 16
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


def unsound_names(tensors: Mapping[str, Tensor]) -> list[str]:
    """The names of the tensors that hold NaN or an infinity; one pass over them, one wait for each device."""
    checked: dict[torch.device, list[str]] = {}
    for name, tensor in tensors.items():
        if tensor.is_floating_point() and tensor.numel():
            checked.setdefault(tensor.device, []).append(name)
    found = []
    for names in checked.values():
        # A Euclidean norm is 25 times as quick as the largest magnitude (0.72 GB in 0.035 s instead of 0.9, Zen 4, two
        # threads), but may be infinite where no number is: then those are looked at.
        for name in _without_norm(names, tensors, 2.0):
            found += _without_norm([name], tensors, math.inf)
    return sorted(found)


def _without_norm(names: Sequence[str], tensors: Mapping[str, Tensor], order: float) -> list[str]:
    """Those of the tensors, all on one device, whose norm is not finite."""
    norms = torch._foreach_norm([tensors[name].detach() for name in names], ord=order)
    whole = torch.isfinite(torch.stack([norm.float() for norm in norms])).tolist()
    return [name for name, finite in zip(names, whole, strict=True) if not finite]


def check_sound(tensors: Mapping[str, Tensor], what: str, step: int, way_back: str) -> None:
    """Raises TrainingError when `what` (weights, or the optimizer's moments) of this step are not all finite."""
    if bad := unsound_names(tensors):
        more = f" and {len(bad) - 1} more" if len(bad) > 1 else ""
        raise TrainingError(
            f"the {what} are not finite at step {step}: {bad[0]}{more}. Nothing of this is saved, and no update mends "
            f"it: a fault of memory or processor, or an update far too large. {way_back}"
        )


def check_ids(windows: Windows, vocab_size: int, step: int) -> None:
    """Raises DataError when a batch holds ids that the model has no row for: a GPU would end the process by them."""
    low, high = int(windows.ids.min()), int(windows.ids.max())
    if low < 0 or high >= vocab_size:
        window, place = (int(one) for one in np.argwhere((windows.ids < 0) | (windows.ids >= vocab_size))[0])
        raise DataError(
            f"the batch of step {step} holds the token id {int(windows.ids[window, place])} (window {window}, place "
            f"{place}), and the vocabulary has 0 to {vocab_size - 1}: the token shards have changed since they were "
            "checked, or the memory is faulty. Bring the run's data folder back; the last checkpoint is intact"
        )


def way_back(run: RunFolder) -> str:
    """What to do when the state in memory is lost."""
    steps = steps_of(run.checkpoints)
    place = f"goes on from step {steps[-1]}" if steps else "begins again at the first step: none was saved"
    return f"`{resume_command(run)}` {place}"


def unlike_text(run: RunFolder, step: int, unlike: Unlike) -> str:
    """What a step whose gradients came out in two ways means, and what to do."""
    return (
        f"step {step}, made twice from the same weights, batch and random numbers, gave two results: {unlike}. A "
        "processor or memory of this machine computes wrongly now and then. The update was not made, and the step is "
        f"kept in {run.spikes}. Test the memory (memtest86+) and the processor, or use another machine. There, or once "
        f"more, {way_back(run)}"
    )


def stop_when_lost(bad_in_row: int, limit: int, step: int, kept: str) -> None:
    """Raises TrainingError when `limit` steps in a row were not finite."""
    if bad_in_row >= limit:
        raise TrainingError(
            f"{bad_in_row} steps in a row gave a non-finite loss or gradient (the last is step {step}, {kept}); the "
            "weights were not touched by them, and the last checkpoint is intact. Try a lower optimizer.lr, or "
            "machine.precision = float32"
        )
