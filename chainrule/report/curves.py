"""The figures of a run as columns for the page's charts, thinned so that the page stays small."""

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from chainrule.run import EvalRow, Facts, TrainRow
from chainrule.verdict import BASELINE_NAMES, known_baselines

MOST_POINTS = 1200
AXES = ("step", "tokens", "seconds")
TRAIN = ("loss", "lr", "grad_norm", "tokens_per_second")
HELD_OUT = ("val_loss", "val_bits_per_byte")
Columns = dict[str, list[float | None]]


def curves(facts: Facts) -> dict[str, Any]:
    """Columns of the training and held-out rows, and the horizontal lines of loss and bits per byte."""
    return {
        "train": columns(facts.train, TRAIN),
        "eval": columns(facts.held_out, HELD_OUT),
        "lines": {"loss": _loss_lines(facts), "bits": _bits_lines(facts)},
    }


def columns(rows: Sequence[TrainRow] | Sequence[EvalRow], keys: Sequence[str], most: int = MOST_POINTS) -> Columns:
    """One list for each axis and key; beyond `most` rows, means of neighbours (the first and last row are kept)."""
    if len(rows) <= most:
        groups: list[Sequence[TrainRow | EvalRow]] = [[row] for row in rows]
    else:
        inner = rows[1:-1]
        edges = [len(inner) * i // (most - 2) for i in range(most - 1)]
        groups = [rows[:1], *[inner[a:b] for a, b in pairwise(edges)], rows[-1:]]
    return {key: [_mean([getattr(row, key) for row in group]) for group in groups] for key in (*AXES, *keys)}


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
