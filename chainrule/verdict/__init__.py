"""Every judgement on a run in one place: what was seen, what it means, what to try."""

from chainrule.verdict.health import judge

__all__ = [
    "judge",
]
