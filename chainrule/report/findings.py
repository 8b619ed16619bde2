"""Is my run all right? The curve's own answers, each with its figures and what to change."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from chainrule.report.facts import Facts
from chainrule.report.words import more_time, scored

Mark = Literal["good", "note", "bad"]
# Held-out loss above its best by this share is more than the noise of a look at a quarter of a million tokens.
RISEN = 0.01


@dataclass(frozen=True)
class Finding:
    """One plain sentence about the run, and whether it is good news."""

    mark: Mark
    sentence: str


def findings(facts: Facts) -> list[Finding]:
    """What can be said of this run from its figures; nothing where there are none."""
    return [
        *_start(facts),
        *_passed(facts),
        *_overfitting(facts),
        *_more_time(facts),
        *_final(facts),
        *_data(facts),
        *_skips(facts),
    ]


def _start(facts: Facts) -> Iterator[Finding]:
    """An untrained model must lose about ln(V): more means a broken start, less means it was trained before."""
    vocab_size, first = facts.manifest.get("vocab_size"), next(iter(facts.train), {})
    loss = first.get("loss")
    if not isinstance(vocab_size, int) or vocab_size < 2 or loss is None or first.get("step", 99) > 1:
        return
    guess = math.log(vocab_size)
    said = f"The first loss was {loss:.2f}; guessing among {vocab_size:,} entries costs ln {vocab_size} = {guess:.2f}."
    if loss > guess + 0.7:
        yield Finding("bad", f"{said} A start this high points to weights or a learning rate that are too large.")
    elif loss < guess - 0.7:
        yield Finding("note", f"{said} The model began with knowledge: pretrained weights, or text that is easy.")
    else:
        yield Finding("good", f"{said} The model began as an untrained one should.")


def _passed(facts: Facts) -> Iterator[Finding]:
    """When held-out bits per byte fell below each baseline for good."""
    looks = [(row["step"], row["val_bits_per_byte"]) for row in facts.held_out if row.get("val_bits_per_byte")]
    if not looks or not facts.baselines:
        return
    words = {"bigram": "pairs of tokens", "gzip": "gzip", "xz": "xz", "xz_seen": "xz that has seen the text"}
    passed, ahead = [], []
    for name, label in words.items():
        value = facts.baselines.get(name)
        if value is None:
            continue
        above = [i for i, (_, bits) in enumerate(looks) if bits >= value]
        place = above[-1] + 1 if above else 0
        (passed.append(f"{label} by step {looks[place][0]:,}") if place < len(looks) else ahead.append(label))
    if passed:
        yield Finding("good", f"It passed {', '.join(passed)}.")
    if ahead:
        yield Finding("note", f"Still ahead of it: {', '.join(ahead)}. More steps or a larger model come next.")


def _overfitting(facts: Facts) -> Iterator[Finding]:
    """The last two looks lie above the best one, or else the last fifth of the run may still have paid."""
    looks = [(row["step"], row["val_loss"]) for row in facts.held_out if row.get("val_loss") is not None]
    if len(looks) < 3:
        return
    step, best = min(looks, key=lambda look: look[1])
    last = looks[-1][1]
    if min(last, looks[-2][1]) > best * (1 + RISEN):
        yield Finding(
            "bad",
            f"Overfitting since step {step:,}: the held-out loss rose from {best:.3f} to {last:.3f}. "
            "Fewer steps, more text or a higher model.drop_rate; the best checkpoint was kept.",
        )
        return
    late = next(loss for at, loss in looks if at >= 0.8 * looks[-1][0])
    fall = (late - last) / late
    if fall > RISEN and facts.status != "running":
        yield Finding(
            "note", f"Still learning at the end: {fall:.1%} less loss in the last fifth. A longer run will pay."
        )


def _more_time(facts: Facts) -> Iterator[Finding]:
    """What a longer run would come to, where that was foretold."""
    if said := more_time(facts.summary):
        yield Finding("note", said)


def _final(facts: Facts) -> Iterator[Finding]:
    """Why the final figure is lower than the end of the curve."""
    final, looks = facts.summary.get("val_bits_per_byte"), facts.held_out
    last = looks[-1].get("val_bits_per_byte") if looks else None
    part = scored(facts.summary)
    of = f"of {part.removeprefix('scored ')}" if part else "of all held-out text"
    if final and last and final < last:
        yield Finding(
            "note",
            f"The final {final:.3f} bits per byte are {of}, each token with at least half a context to "
            f"look back on; the curve's {last:.3f} are of a part of it, in windows that begin without any.",
        )


def _data(facts: Facts) -> Iterator[Finding]:
    """Past four readings the preparation has warned already, and the page shows its words."""
    epochs = facts.data.get("epochs") or 0
    if 1 < epochs <= 4:
        yield Finding("good", f"It reads the text {epochs:.1f} times; up to four is nearly as good as new text.")


def _skips(facts: Facts) -> Iterator[Finding]:
    skipped = facts.summary.get("n_skipped") or 0
    if skipped:
        yield Finding("note", f"Steps skipped for non-finite numbers: {skipped}; their batches lie in skipped/.")
