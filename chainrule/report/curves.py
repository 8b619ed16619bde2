"""The figures of a run as columns for the page's charts, thinned so that the page stays small."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from chainrule.base import ChainruleError
from chainrule.config import load_toml, resolve
from chainrule.report.baselines import anchor_name
from chainrule.report.earlier import Earlier
from chainrule.run import EvalRow, Facts, PhasesRow, TrainRow, sealed_path
from chainrule.verdict import BASELINE_NAMES, known_baselines

MOST_POINTS = 1200
AXES = ("step", "tokens", "seconds")
TRAIN = ("loss", "lr", "grad_norm", "tokens_per_second")
HELD_OUT = ("val_loss", "val_bits_per_byte")
MEMORY = ("memory_bytes", "device_bytes")
# As many as can be told apart; and points of a line that stands faintly behind.
MOST_SOURCES, MOST_FAINT = 6, 200
RATE_NAMES = {"lr": "AdamW", "muon_lr": "Muon"}
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


def curves(facts: Facts, before: Sequence[Earlier] = ()) -> dict[str, Any]:
    """Columns of the training and held-out rows, and the horizontal lines of loss and bits per byte.

    `rates` has the words and the factors by which the rate of the rows becomes that of each part of the optimizer,
    `sources` the names and columns of the sources, `earlier` the columns of the runs `before`.
    """
    looks = columns(facts.looks, ())
    names = list(dict.fromkeys(name for row in facts.looks for name in row.by_source))[:MOST_SOURCES]
    by_source = {f"s{place}": _of_source(facts.looks, name) for place, name in enumerate(names)}
    return {
        "train": columns(facts.train, TRAIN),
        "eval": columns(facts.held_out, HELD_OUT),
        "taught": columns(_looks(facts), TAUGHT) if facts.tuning else {},
        "phases": columns(facts.phases, MEMORY),
        "sources": {"names": names, **looks, **by_source} if len(facts.looks) <= MOST_POINTS else {"names": []},
        "rates": _rates(facts),
        "earlier": [{"name": one.name, **columns(one.looks, HELD_OUT, MOST_FAINT)} for one in before],
        "lines": {"loss": _loss_lines(facts), "bits": _bits_lines(facts)},
    }


def _of_source(looks: Sequence[EvalRow], name: str) -> list[float | None]:
    return [row.by_source.get(name) for row in looks]


def _rates(facts: Facts) -> list[tuple[str, float]]:
    """Of each part of the optimizer its name and its rate as a multiple of the one that the rows have."""
    try:
        peaks = resolve([load_toml(sealed_path(facts.run, facts.run.config))]).config.optimizer.peak_rates
    except (ChainruleError, OSError):
        return [("", 1.0)]
    shown = next(iter(peaks.values()))
    names = {name: RATE_NAMES.get(name, name) for name in peaks} if len(peaks) > 1 else dict.fromkeys(peaks, "")
    return [(names[name], peak / shown) for name, peak in peaks.items()]


def columns(
    rows: Sequence[TrainRow] | Sequence[EvalRow] | Sequence[PhasesRow] | Sequence[_Look],
    keys: Sequence[str],
    most: int = MOST_POINTS,
) -> Columns:
    """One list for each axis and key; beyond `most` rows, means of neighbours (the first and last row are kept)."""
    if len(rows) <= most:
        groups: list[Sequence[TrainRow | EvalRow | PhasesRow | _Look]] = [[row] for row in rows]
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
    """The loss of guessing, and of counts of one, two and five tokens, in the chart's nats per token."""
    lines = []
    vocab_size = facts.manifest.vocab_size or 0
    if vocab_size > 1:
        lines.append(("guessing", math.log(vocab_size)))
    if facts.held_out_loss and facts.bits_per_byte:
        nats_per_bit = facts.held_out_loss / facts.bits_per_byte  # ln 2 × bytes per token of the held-out text
        found = facts.baselines
        counted = (("unigram", found.unigram), ("bigram", found.bigram), ("5-gram", found.fivegram))
        lines += [(name, bits * nats_per_bit) for name, bits in counted if bits]
    return lines


def _bits_lines(facts: Facts) -> list[tuple[str, float]]:
    """All but the worst of them, which would only press the curve flat; and other models on the same text."""
    known = known_baselines(facts.baselines)
    lines = [(words, bits) for words, bits in known.items() if words != BASELINE_NAMES["unigram"]]
    return lines + [(anchor_name(one), one.bits_per_byte) for one in facts.anchors]
