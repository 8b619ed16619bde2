"""Curves of any length in bounded memory: extremes stay, and so does what was given out."""

import math
import random

from chainrule.dashboard.thinning import Curve
from chainrule.run import TrainRow


def curve(losses: list[float | None], most: int = 64) -> Curve:
    made = Curve(("loss", "lr"), most)
    for step, loss in enumerate(losses, 1):
        made.add(TrainRow(step, tokens=step * 10, seconds=step / 2, loss=loss, lr=0.1))
    return made


def test_a_short_curve_is_every_row() -> None:
    found = curve([3.0, None, 1.0]).since(0)
    assert found["step"] == [1, 2, 3] and found["loss"] == {"mean": [3.0, None, 1.0]}


def test_a_spike_of_one_step_in_a_long_run_is_not_lost() -> None:
    dice = random.Random(0)
    losses: list[float | None] = [2 + dice.random() for _ in range(100_000)]
    losses[31_234] = 77.0
    made = curve(losses, 2048)
    found = made.since(0)
    assert len(made.buckets) <= 2048 and sum(found["count"]) == 100_000 and found["step"][-1] == 100_000
    highs, lows, means = (found["loss"][key] for key in ("high", "low", "mean"))
    assert max(highs) == 77.0 and min(lows) == float(f"{min(losses):.6g}")
    whole = sum(mean * count for mean, count in zip(means, found["count"], strict=True)) / 100_000
    assert math.isclose(whole, sum(losses) / 100_000, rel_tol=1e-5)


def test_what_a_page_has_stays_true_until_the_curve_is_thinned() -> None:
    made, had, generation = Curve(("loss",), 64), list[int](), 1
    for step in range(1, 1000):
        made.add(TrainRow(step, loss=float(step)))
        if made.together != generation:
            had, generation = [], made.together
        piece = made.since(len(had) if len(had) <= made.closed else made.closed)
        had = (had[: piece["start"]] + piece["step"])[: made.closed]
        assert had == made.since(0)["step"][: made.closed]


def test_a_step_that_does_not_rise_was_there_before() -> None:
    made = curve([3.0, 2.0])
    made.add(TrainRow(2, loss=9.0))
    assert made.since(0)["loss"] == {"mean": [3.0, 2.0]}


def test_a_row_without_a_number_leaves_the_others_of_its_bucket() -> None:
    made = curve([None if step % 2 else float(step) for step in range(256)], 64)
    assert made.together == 4 and None not in made.since(0)["loss"]["mean"]
