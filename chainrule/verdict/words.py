"""The model against the baselines in one honest sentence."""

import math
from collections.abc import Sequence
from typing import Any

from chainrule.base import bytes_text
from chainrule.run import Ancestor, Baselines, DataReport, Removed, Summary, TaskResult

BASELINE_NAMES = {
    "unigram": "counting tokens",
    "bigram": "counting pairs of tokens",
    "fivegram": "counting runs of five tokens",
    "gzip": "gzip -9",
    "xz": "xz -9e",
    "xz_seen": "xz that has seen the training text",
}

# Documents that the preparation left out, by the fields of its report.
REMOVED = {
    "duplicates": "duplicates",
    "near_duplicates": "near duplicates",
    "left_out": "too close to held-out text",
    "empty": "empty",
    "bad": "bad",
    "filtered": "by filters",
}


def removed(report: Removed) -> list[tuple[str, int]]:
    """What was removed from the text, in words and how many documents; what was not removed is left out."""
    counts = ((words, getattr(report, name)) for name, words in REMOVED.items())
    return [(words, count) for words, count in counts if count]


MOST_SKIPPED = 8


def skipped_words(report: DataReport) -> str:
    """What was passed over in folders, the most frequent first: "12 skipped: 7 .pdf (pip install …), 5 .png"."""
    counts = sorted(report.skipped_by.items(), key=lambda pair: (-pair[1], pair[0]))
    said = [f"{count:,} {what}" for what, count in counts[:MOST_SKIPPED]]
    rest = sum(count for _, count in counts[MOST_SKIPPED:])
    said += [f"{rest:,} of other kinds"] if rest else []
    return f"{report.skipped or 0:,} skipped" + (f": {', '.join(said)}" if said else "")


def known_baselines(baselines: Baselines | None) -> dict[str, float]:
    """Bits per byte of those that were measured, by their words."""
    values = {words: getattr(baselines or Baselines(), name) for name, words in BASELINE_NAMES.items()}
    return {words: value for words, value in values.items() if value is not None}


def against_baselines(bits_per_byte: float, baselines: Baselines | None) -> str:
    """Who needs fewer bits per byte of the held-out text, the model or the best baseline, and by how much."""
    known = known_baselines(baselines)
    if not known:
        return f"The model needs {bits_per_byte:.3f} bits for each held-out byte; nothing was measured beside it."
    words = min(known, key=lambda name: known[name])
    other = known[words]
    difference = abs(other - bits_per_byte) / max(other, bits_per_byte)
    beaten = sum(bits_per_byte < value for value in known.values())
    if beaten == len(known):
        return f"The model beats every baseline: it needs {difference:.1%} fewer bits than the best of them, {words}."
    lead = f"The model beats {beaten} of {len(known)} baselines" if beaten else "The model beats no baseline yet"
    if difference < 0.0005:
        return f"{lead}; the best, {words}, does as well as it."
    return f"{lead}; the best, {words}, needs {difference:.1%} fewer bits than it{'' if beaten else ': train longer'}."


def scored(summary: Summary) -> str | None:
    """How much of the held-out text the figures of a run are of; None when it was all, or is not known."""
    part = summary.scored
    if part is None or part.whole or part.n_bytes is None or part.of_bytes is None:
        return None
    return f"scored {bytes_text(part.n_bytes)} of {bytes_text(part.of_bytes)}, in evenly spread windows"


def more_time(summary: Summary) -> str | None:
    """What the run was foretold to gain by more time; None when nothing was."""
    told = summary.more_minutes
    if told is None:
        return None
    return (
        f"With {told.minutes:g} more minutes, all else equal, it would probably have come to {told.bits_per_byte:.2f} "
        f"bits per byte ({told.low:.2f} to {told.high:.2f}: 32 of 38 such intervals held)."
    )


# Of a normal distribution: 95 % lie within so many standard deviations.
NORMAL_95 = 1.96


def share_interval(right: int, n: int) -> tuple[float, float]:
    """Between what shares the true one lies, 95 times in 100 (Wilson 1927), when `right` of `n` > 0 were right."""
    square = NORMAL_95**2
    middle = (right + square / 2) / (n + square)
    half = NORMAL_95 / (n + square) * math.sqrt(right * (n - right) / n + square / 4)
    return max(0.0, middle - half), min(1.0, middle + half)


def lineage_words(lineage: Sequence[Ancestor]) -> str | None:
    """From which runs this one was forked, the nearest first, with what each changed; None for no fork."""
    told = []
    for one in reversed(lineage):
        pairs = (f"{key} from {_setting(pair, 0)} to {_setting(pair, 1)}" for key, pair in one.changed.items())
        told.append(f"{one.run} at step {one.step:,}, with {', '.join(pairs) or 'nothing changed'}")
    return f"forked from {'; itself forked from '.join(told)}" if told else None


def _setting(pair: Any, place: int) -> str:
    return repr(pair[place]) if isinstance(pair, list | tuple) and len(pair) == 2 else "?"


def task_words(result: TaskResult) -> str:
    """What a task found, in a sentence: how many, the share with its interval, and what chance gets right."""
    if not result.n:
        return f"nothing was asked of {result.task}"
    low, high = share_interval(result.right, result.n)
    chance = "" if result.guess is None else f"; chance gets {result.guess:.0%} right"
    part = "" if result.of_n in (None, result.n) else f", of {result.of_n:,} there are"
    told = f"{result.right:,} of {result.n:,} {result.told}{part}"
    return f"{told}: {result.right / result.n:.0%} ({low:.0%} to {high:.0%}){chance}"


def task_figures(result: TaskResult) -> dict[str, Any]:
    """The result by name, with its share and between what shares the true one lies."""
    low, high = share_interval(result.right, result.n) if result.n else (None, None)
    return {**result.row(), "share": result.share, "low": low, "high": high}
