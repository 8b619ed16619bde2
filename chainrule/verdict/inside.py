"""What the looks inside a model mean: dead units, collapsed attention, logits and activations that grow."""

import math
from collections.abc import Iterator, Mapping, Sequence
from statistics import fmean
from typing import Any

from chainrule.base import layer_in_words, layer_of
from chainrule.verdict.thresholds import ALL_DEAD, COARSE, COLLAPSED, DEAD, DIVERGING, SATURATED, SPREAD
from chainrule.verdict.verdicts import Verdict

Row = Mapping[str, Any]


def judge_inside(rows: Sequence[Row]) -> Iterator[Verdict]:
    """What the last look shows, held against the first."""
    if rows:
        yield from _outputs(rows)
        yield from _units(rows[-1])
        yield from _attention(rows[-1])


def _outputs(rows: Sequence[Row]) -> Iterator[Verdict]:
    first, last = _part(rows[0], "outputs"), _part(rows[-1], "outputs")
    for path, (_, std, largest, _) in _numbers(last, 4):
        if not (math.isfinite(std) and math.isfinite(largest)):
            yield Verdict(
                "non-finite",
                "bad",
                f"The outputs of {layer_in_words(path)} were not finite at step {rows[-1]['step']:,}.",
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


def _units(row: Row) -> Iterator[Verdict]:
    dead = {path: numbers[0] for path, numbers in _numbers(_part(row, "units"), 2)}
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


def _attention(row: Row) -> Iterator[Verdict]:
    found = {}
    for path, one in _part(row, "attention").items():
        entropy = one.get("entropy") if isinstance(one, Mapping) else None
        known = [value for value in entropy if isinstance(value, int | float)] if isinstance(entropy, list) else []
        logit = one.get("largest_logit") if isinstance(one, Mapping) else None
        found[path] = (
            fmean(known) if known else math.nan,
            float(logit) if isinstance(logit, int | float) else math.nan,
        )
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


def _part(row: Row, name: str) -> Mapping[str, Any]:
    part = row.get(name)
    return part if isinstance(part, Mapping) else {}


def _numbers(part: Mapping[str, Any], count: int) -> Iterator[tuple[str, tuple[float, ...]]]:
    """The entries of the right form; null, which stands for a number that was not finite, becomes NaN."""
    for path, values in part.items():
        if isinstance(values, list) and len(values) == count:
            yield path, tuple(float(v) if isinstance(v, int | float) else math.nan for v in values)


def _or(value: float, other: float) -> float:
    return value if math.isfinite(value) else other
