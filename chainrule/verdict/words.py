"""The model against the baselines in one honest sentence."""

import math
from collections.abc import Mapping
from typing import Any

from chainrule.base import bytes_text

BASELINE_NAMES = {
    "unigram": "counting tokens",
    "bigram": "counting pairs of tokens",
    "gzip": "gzip -9",
    "xz": "xz -9e",
    "xz_seen": "xz that has seen the training text",
}

# What the preparation left out of the text, by the keys of its report, as documents.
REMOVED = {
    "duplicates": "duplicates",
    "near_duplicates": "near duplicates",
    "left_out": "too close to held-out text",
    "empty": "empty",
    "bad": "bad",
}


def removed(report: Mapping[str, Any]) -> list[tuple[str, int]]:
    """What was removed from the text, in words and how many documents; what was not removed is left out."""
    return [(words, report[key]) for key, words in REMOVED.items() if report.get(key)]


def against_baselines(bits_per_byte: float, baselines: Mapping[str, Any]) -> str:
    """Who needs fewer bits per byte of the held-out text, the model or the best baseline, and by how much."""
    known = {name: float(baselines[name]) for name in BASELINE_NAMES if baselines.get(name) is not None}
    if not known:
        return f"The model needs {bits_per_byte:.3f} bits for each held-out byte; nothing was measured beside it."
    best = min(known, key=lambda name: known[name])
    other, words = known[best], BASELINE_NAMES[best]
    difference = abs(other - bits_per_byte) / max(other, bits_per_byte)
    beaten = sum(bits_per_byte < value for value in known.values())
    if beaten == len(known):
        return f"The model beats every baseline: it needs {difference:.1%} fewer bits than the best of them, {words}."
    lead = f"The model beats {beaten} of {len(known)} baselines" if beaten else "The model beats no baseline yet"
    if difference < 0.0005:
        return f"{lead}; the best, {words}, does as well as it."
    return f"{lead}; the best, {words}, needs {difference:.1%} fewer bits than it{'' if beaten else ': train longer'}."


def scored(summary: Mapping[str, Any]) -> str | None:
    """How much of the held-out text the figures of a run are of; None when it was all, or is not known."""
    part = summary.get("scored") or {}
    if part.get("whole", True):
        return None
    return f"scored {bytes_text(part['n_bytes'])} of {bytes_text(part['of_bytes'])}, in evenly spread windows"


def more_time(summary: Mapping[str, Any]) -> str | None:
    """What the run was foretold to gain by more time; None when its summary says nothing of it that can be read."""
    told = summary.get("more_minutes")
    values = [told.get(key) for key in ("minutes", "bits_per_byte", "low", "high")] if isinstance(told, Mapping) else []
    numbers = [float(value) for value in values if isinstance(value, int | float) and not isinstance(value, bool)]
    if len(numbers) < 4 or not all(map(math.isfinite, numbers)):
        return None
    minutes, bits, low, high = numbers
    return (
        f"With {minutes:g} more minutes, all else equal, it would probably have come to {bits:.2f} bits per byte "
        f"({low:.2f} to {high:.2f}: 32 of 38 such intervals held)."
    )
