"""What the looks inside a model mean: dead units, collapsed attention, logits and activations that grow."""

import math
from collections.abc import Iterator, Mapping, Sequence
from statistics import fmean

from chainrule.base import layer_in_words, layer_of
from chainrule.run import Column, InsideRow
from chainrule.verdict.thresholds import ALL_DEAD, COARSE, COLLAPSED, DEAD, DIVERGING, SATURATED, SPREAD
from chainrule.verdict.verdicts import Verdict


def judge_inside(rows: Sequence[InsideRow]) -> Iterator[Verdict]:
    """What the last look shows, held against the first."""
    if rows:
        yield from _outputs(rows)
        yield from _units(rows[-1])
        yield from _attention(rows[-1])


def _outputs(rows: Sequence[InsideRow]) -> Iterator[Verdict]:
    first, last = rows[0].outputs, rows[-1].outputs
    for path, (_, std, largest, _) in _numbers(last, 4):
        if not (math.isfinite(std) and math.isfinite(largest)):
            yield Verdict(
                "non-finite",
                "bad",
                f"The outputs of {layer_in_words(path)} were not finite at step {rows[-1].step:,}.",
            )
            return
    before = dict(_numbers(first, 4))
    grown = {
        path: std / before[path][1]
        for path, (_, std, _, _) in _numbers(last, 4)
        if path in before and before[path][1] > 0
    }
    most = max(grown, key=lambda path: grown[path], default=None)
    if most is not None and grown[most] >= SPREAD:
        yield Verdict(
            "spread",
            "note",
            f"The outputs of {layer_in_words(most)} spread {grown[most]:.0f} times as wide as at the first look.",
            "Weight decay (optimizer.weight_decay) or a lower rate would hold them; bfloat16 loses small differences.",
        )


def _units(row: InsideRow) -> Iterator[Verdict]:
    dead = {path: numbers[0] for path, numbers in _numbers(row.units, 2)}
    worst = max(dead, key=lambda path: dead[path], default=None)
    if worst is not None and dead[worst] >= DEAD:
        yield Verdict(
            "dead",
            "bad" if dead[worst] >= ALL_DEAD else "note",
            f"{dead[worst]:.0%} of the hidden units of {layer_in_words(layer_of(worst))} were silent for every token "
            "of the last look: they compute and learn nothing there.",
            "A lower optimizer.lr or a longer warm-up keeps "
            "units alive; a narrower model.hidden_dim would do as well as this one.",
        )


def _attention(row: InsideRow) -> Iterator[Verdict]:
    found = {}
    for path, one in row.attention.items():
        known = [value for value in one.entropy if value is not None]
        logit = math.nan if one.largest_logit is None else one.largest_logit
        found[path] = (fmean(known) if known else math.nan, logit)
    narrow = min(found, key=lambda path: _or(found[path][0], 1.0), default=None)
    if narrow is not None and found[narrow][0] < COLLAPSED and found[narrow][1] >= SATURATED:
        yield Verdict(
            "collapse",
            "bad",
            f"Attention has collapsed in {layer_in_words(narrow)}: its heads reach {found[narrow][0]:.0%} of the "
            "entropy of looking everywhere, about one place each.",
            "model.qk_norm prevents it, a lower rate helps.",
        )
    high = max(found, key=lambda path: _or(found[path][1], 0.0), default=None)
    if high is not None and found[high][1] >= COARSE:
        yield Verdict(
            "logits",
            "bad" if found[high][1] >= DIVERGING else "note",
            f"The attention logits of {layer_in_words(high)} reach {found[high][1]:.3g}: softmax is saturated, and "
            "beyond 256 bfloat16 rounds them by a whole unit; runs diverged from 10,000 on.",
            "model.qk_norm bounds them.",
        )


def _numbers(part: Mapping[str, Column], count: int) -> Iterator[tuple[str, tuple[float, ...]]]:
    """The entries of the right length; None, which stands for a number that was not finite, becomes NaN."""
    for path, values in part.items():
        if len(values) == count:
            yield path, tuple(math.nan if value is None else value for value in values)


def _or(value: float, other: float) -> float:
    return value if math.isfinite(value) else other
