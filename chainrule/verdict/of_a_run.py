"""Is my run all right? The curve's own answers, each with its figures and what to change."""

from collections.abc import Iterator

from chainrule.run import Change, Facts
from chainrule.verdict.forgetting import judge_forgetting
from chainrule.verdict.start import judge_start
from chainrule.verdict.thresholds import RISEN
from chainrule.verdict.verdicts import Verdict
from chainrule.verdict.words import known_baselines, more_time, scored

# Figures that are no further apart are seen as one in a curve.
SAME = 1e-3


def findings(facts: Facts) -> list[Verdict]:
    """What can be said of this run from its figures; nothing where there are none."""
    return [
        *_unused(facts),
        *_start(facts),
        *_passed(facts),
        *_overfitting(facts),
        *_forgetting(facts),
        *_more_time(facts),
        *_final(facts),
        *_data(facts),
        *_skips(facts),
    ]


def _unused(facts: Facts) -> Iterator[Verdict]:
    """What was flipped or edited: no figure comes from there."""
    if facts.unused:
        said = f"Not all of the folder is as the run wrote it: {'; '.join(facts.unused)}."
        yield Verdict("unused", "bad", said, f"`chainrule verify {facts.run.path}` checks everything.")


def _start(facts: Facts) -> Iterator[Verdict]:
    """The first loss, where the run's own first step is known and it began with nothing."""
    if facts.tuning is not None:
        return
    vocab_size, first = facts.manifest.vocab_size, next(iter(facts.train), None)
    if first is not None and first.step <= 1 and first.loss is not None and (vocab_size or 0) >= 2:
        yield judge_start(first.loss, vocab_size or 0)


def _passed(facts: Facts) -> Iterator[Verdict]:
    """When held-out bits per byte fell below each baseline for good."""
    looks = [(row.step, row.val_bits_per_byte) for row in facts.held_out if row.val_bits_per_byte]
    known = known_baselines(facts.baselines)
    if not looks or not known:
        return
    passed, ahead = [], []
    for label, value in known.items():
        above = [i for i, (_, bits) in enumerate(looks) if bits >= value]
        place = above[-1] + 1 if above else 0
        (passed.append(f"{label} by step {looks[place][0]:,}") if place < len(looks) else ahead.append(label))
    if passed:
        yield Verdict("passed", "good", f"It passed {', '.join(passed)}.")
    if ahead:
        yield Verdict(
            "ahead", "note", f"Still ahead of it: {', '.join(ahead)}.", "More steps or a larger model come next."
        )


def _overfitting(facts: Facts) -> Iterator[Verdict]:
    """The last two looks lie above the best one, or else the last fifth of the run may still have paid."""
    looks = [(row.step, row.val_loss) for row in facts.looks if row.val_loss is not None]
    if len(looks) < 3:
        return
    step, best = min(looks, key=lambda look: look[1])
    last = looks[-1][1]
    if min(last, looks[-2][1]) > best * (1 + RISEN):
        yield Verdict(
            "overfitting",
            "bad",
            f"Overfitting since step {step:,}: the held-out loss rose by {last / best - 1:.1%} from its lowest.",
            "Fewer steps, more text or a higher model.drop_rate; the best checkpoint was kept.",
        )
        return
    late = next(loss for at, loss in looks if at >= 0.8 * looks[-1][0])
    fall = (late - last) / late
    if fall > RISEN and facts.status != "running":
        said = f"Still learning at the end: {fall:.1%} less loss in the last fifth."
        yield Verdict("unfinished", "note", said, "A longer run will pay.")


def _forgetting(facts: Facts) -> Iterator[Verdict]:
    """Of old text: at the end of the run, or at the last look of one that has not ended."""
    if facts.summary.old is not None:
        yield judge_forgetting(facts.summary.old, facts.tuning)
        return
    bits = [row.base_bits_per_byte for row in facts.answers if row.base_bits_per_byte]
    if len(bits) > 1:
        yield judge_forgetting(Change(bits[0], bits[-1]), facts.tuning, step=facts.answers[-1].step)


def _more_time(facts: Facts) -> Iterator[Verdict]:
    """What a longer run would come to, where that was foretold."""
    if said := more_time(facts.summary):
        yield Verdict("more-minutes", "note", said)


def _final(facts: Facts) -> Iterator[Verdict]:
    """Why the curve has a step at its end."""
    looks, end = facts.looks, facts.held_out[-1] if facts.held_out else None
    last = looks[-1].val_bits_per_byte if looks else None
    if end is None or not end.final or not end.val_bits_per_byte or not last:
        return
    if abs(last / end.val_bits_per_byte - 1) < SAME:
        return
    part = scored(facts.summary)
    of = f"of {part.removeprefix('scored ')}" if part else "of all held-out text"
    why = "the looks before it are of a sample of the text"
    if not looks[-1].places:
        # Of November 2026 and before.
        why = "the looks before it counted also tokens that have little to look back on, and lie higher"
    yield Verdict("final", "note", f"The last point of the held-out curve is the final figure, {of}; {why}.")


def _data(facts: Facts) -> Iterator[Verdict]:
    """Past four readings the preparation has warned already, and the page shows its words."""
    epochs = facts.data.epochs or 0
    if 1 < epochs <= 4:
        yield Verdict(
            "repeated", "good", f"It reads the text {epochs:.1f} times; up to four is nearly as good as new text."
        )


def _skips(facts: Facts) -> Iterator[Verdict]:
    if skipped := facts.summary.n_skipped:
        yield Verdict(
            "skipped",
            "note",
            f"Steps skipped for non-finite numbers or as spikes: {skipped}; their batches lie in skipped/.",
        )
