"""The figures of a run as columns for the page's charts, thinned so that the page stays small."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from chainrule.run import EvalRow, Facts, TrainRow
from chainrule.verdict import BASELINE_NAMES, known_baselines

MOST_POINTS = 1200
AXES = ("step", "tokens", "seconds")
TRAIN = ("loss", "lr", "grad_norm", "tokens_per_second")
HELD_OUT = ("val_loss", "val_bits_per_byte")
TAUGHT = ("exact", "stopped", "base", "margin", "chosen", "rejected")
Columns = dict[str, list[float | None]]


@dataclass(frozen=True)
class _Look:
    """What was looked at on the way of a fine-tuning, where a look at the held-out answers stands."""

    step: int
    tokens: int | None
    seconds: float | None
    exact: float | None = None
    stopped: float | None = None
    base: float | None = None
    margin: float | None = None
    chosen: float | None = None
    rejected: float | None = None


def curves(facts: Facts) -> dict[str, Any]:
    """Columns of the training and held-out rows, and the horizontal lines of loss and bits per byte."""
    return {
        "train": columns(facts.train, TRAIN),
        "eval": columns(facts.held_out, HELD_OUT),
        "taught": columns(_looks(facts), TAUGHT) if facts.tuning else {},
        "lines": {"loss": _loss_lines(facts), "bits": _bits_lines(facts)},
    }


def columns(
    rows: Sequence[TrainRow] | Sequence[EvalRow] | Sequence[_Look], keys: Sequence[str], most: int = MOST_POINTS
) -> Columns:
    """One list for each axis and key; beyond `most` rows, means of neighbours (the first and last row are kept)."""
    if len(rows) <= most:
        groups: list[Sequence[TrainRow | EvalRow | _Look]] = [[row] for row in rows]
    else:
        inner = rows[1:-1]
        edges = [len(inner) * i // (most - 2) for i in range(most - 1)]
        groups = [rows[:1], *[inner[a:b] for a, b in pairwise(edges)], rows[-1:]]
    return {key: [_mean([getattr(row, key) for row in group]) for group in groups] for key in (*AXES, *keys)}


def _looks(facts: Facts) -> list[_Look]:
    answers = {row.step: row for row in facts.answers}
    preferences = {row.step: row for row in facts.preferences}
    found = []
    for row in facts.held_out:
        given, judged = answers.get(row.step), preferences.get(row.step)
        found.append(
            _Look(
                row.step,
                row.tokens,
                row.seconds,
                *((given.exact, given.stopped, given.base_bits_per_byte) if given else (None,) * 3),
                *((judged.margin, judged.chosen, judged.rejected) if judged else (None,) * 3),
            )
        )
    return found


def _mean(values: Sequence[float | None]) -> float | None:
    finite = [value for value in values if value is not None and math.isfinite(value)]
    return float(f"{sum(finite) / len(finite):.6g}") if finite else None


def _loss_lines(facts: Facts) -> list[tuple[str, float]]:
    """The loss of guessing, and of the counts of single tokens and pairs, in the chart's nats per token."""
    lines = []
    vocab_size = facts.manifest.vocab_size or 0
    if vocab_size > 1:
        lines.append(("guessing", math.log(vocab_size)))
    if facts.held_out_loss and facts.bits_per_byte:
        nats_per_bit = facts.held_out_loss / facts.bits_per_byte  # ln 2 × bytes per token of the held-out text
        counted = (("unigram", facts.baselines.unigram), ("bigram", facts.baselines.bigram))
        lines += [(name, bits * nats_per_bit) for name, bits in counted if bits]
    return lines


def _bits_lines(facts: Facts) -> list[tuple[str, float]]:
    """All but the worst of them, which would only press the curve flat."""
    known = known_baselines(facts.baselines)
    return [(words, bits) for words, bits in known.items() if words != BASELINE_NAMES["unigram"]]
