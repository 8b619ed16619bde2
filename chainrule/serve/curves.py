"""The checkpoints of a run and the curve that they lie on, in the few points that a picture needs."""

from collections.abc import Iterable, Sequence
from statistics import fmean
from typing import Any

from chainrule.run import RunFolder, TrainRow, held_out_rows, rows_of

# Points of a curve that is as wide as a column of the page.
MOST_POINTS = 240

Point = tuple[int, float]
"""A step and nats per token."""


def curve_of(run: RunFolder) -> dict[str, list[Point]]:
    """`train`: the loss of training, neighbours together where there are many; `held_out`: every look."""
    trained = [(row.step, row.loss) for row in rows_of(run.metrics, TrainRow) if row.loss is not None]
    return {"train": fewer(trained, MOST_POINTS), "held_out": fewer(_looks(run).items(), MOST_POINTS)}


def checkpoints_of(run: RunFolder, steps: Sequence[int], in_memory: frozenset[str], name: str) -> list[dict[str, Any]]:
    """Each checkpoint: what it is called, its step, its held-out loss where one was measured at that very step."""
    bits = {row.step: row.val_bits_per_byte for row in held_out_rows(run)}
    losses = _looks(run)
    return [
        {
            "id": f"{name}@{step}",
            "step": step,
            "val_loss": losses.get(step),
            "val_bits_per_byte": bits.get(step),
            "in_memory": f"{name}@{step}" in in_memory,
        }
        for step in steps
    ]


def fewer(points: Iterable[Point], most: int) -> list[Point]:
    """At most `most` points: means of as many neighbours as it takes, the last with those that are left."""
    found = sorted(dict(points).items())
    size = -(-len(found) // most)
    groups = (found[start : start + size] for start in range(0, len(found), max(1, size)))
    return [(group[-1][0], fmean(value for _, value in group)) for group in groups]


def _looks(run: RunFolder) -> dict[int, float]:
    return {row.step: row.val_loss for row in held_out_rows(run) if row.val_loss is not None}
