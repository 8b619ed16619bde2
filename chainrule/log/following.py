"""Tells a tracker what stands in a run's journals, and goes on telling while they grow."""

import time
from collections.abc import Callable
from typing import Any

from chainrule.log.tracker import Tracker
from chainrule.run import EvalRow, RunFolder, Sample, Tail, TrainRow

EVERY_SECONDS = 1.0
TRAIN = {"loss": "train/loss", "lr": "train/lr", "grad_norm": "train/grad_norm"}
SPEED = {"tokens_per_second": "speed/tokens_per_second", "peak_share": "speed/peak_share"}
HELD_OUT = {"val_loss": "held_out/loss", "val_bits_per_byte": "held_out/bits_per_byte"}
PLACE = {"tokens": "progress/tokens", "seconds": "progress/seconds"}


def follow(run: RunFolder, tracker: Tracker, *, ends: Callable[[], bool]) -> int:
    """Tells all that is there, then what comes, until `ends()` and all is told; returns how many rows were told.

    After a resume that cut the journals back, rows up to the last step that was told are not told again: no tracker can
    take anything back.
    """
    samples, metrics = Tail(run.samples), Tail(run.metrics)
    told, again, count = -1, -1, 0
    while True:
        last = ends()
        # By their steps, because a tracker may drop what is of an earlier step than what it was told before.
        (texts, texts_void), (figures, figures_void) = samples.read(), metrics.read()
        if texts_void or figures_void:
            again = told  # up to here a resume makes anew what was told
        rows = [*((_text, row) for row in texts), *((_figures, row) for row in figures)]
        placed = [(row["step"], tell, row) for tell, row in rows if isinstance(row.get("step"), int)]
        for step, tell, row in sorted(placed, key=lambda one: one[0]):
            if step >= told and step > again and tell(tracker, row):
                told, count = step, count + 1
        waiting = samples.behind + metrics.behind
        if last and not waiting:
            return count
        if not waiting:
            time.sleep(EVERY_SECONDS)


def _figures(tracker: Tracker, row: dict[str, Any]) -> bool:
    found: TrainRow | EvalRow | None = None
    names: dict[str, str] = {}
    match row.get("kind"):
        case TrainRow.KIND:
            found, names = TrainRow.of(row), {**TRAIN, **SPEED, **PLACE}
        case EvalRow.KIND:
            found, names = EvalRow.of(row), HELD_OUT
    if found is None:
        return False
    values = {name: getattr(found, key) for key, name in names.items()}
    tracker.figures(found.step, {name: float(value) for name, value in values.items() if value is not None})
    return True


def _text(tracker: Tracker, row: dict[str, Any]) -> bool:
    found = Sample.of(row)
    if found is not None:
        tracker.text(found.step, f"samples/{found.prompt.strip()[:40] or 'nothing'}", found.prompt + found.text)
    return found is not None
