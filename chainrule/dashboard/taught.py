"""What a fine-tuning is looked at for on its way, as the curves of a page."""

from collections.abc import Sequence
from typing import Any

from chainrule.dashboard.journals import Journals
from chainrule.run import AnswersRow, PreferenceRow

# By curve: the field of a row, and what it is called.
ANSWERED = (("exact", "exactly right"), ("stopped", "ended by themselves"))
REMEMBERED = (("base_bits_per_byte", "base text"),)
PREFERRED = (("margin", "margin"),)
JUDGED = (("chosen", "chosen"), ("rejected", "rejected"))


def taught(journals: Journals) -> list[dict[str, Any]]:
    """The charts that have something to draw: title, and lines of steps and values; none of a pretraining."""
    charts = (
        ("Held-out questions, share of answers", journals.answers, ANSWERED),
        ("Bits per byte of base text", journals.answers, REMEMBERED),
        ("Margin of chosen over rejected, nats", journals.preferences, PREFERRED),
        ("Log-probability of an answer, nats per token", journals.preferences, JUDGED),
    )
    drawn = (
        {"title": title, "lines": [line for name, words in curves if (line := _line(rows, name, words))["step"]]}
        for title, rows, curves in charts
    )
    return [chart for chart in drawn if chart["lines"]]


def _line(rows: Sequence[AnswersRow | PreferenceRow], name: str, words: str) -> dict[str, Any]:
    points = [(row.step, value) for row in rows if (value := getattr(row, name)) is not None]
    return {"name": words, "step": [step for step, _ in points], "value": [value for _, value in points]}
