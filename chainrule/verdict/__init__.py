"""Every judgement on a run in one place: what was seen, what it means, what to try."""

from chainrule.verdict.comparison import Overview, compare, overview_or_name
from chainrule.verdict.forgetting import judge_forgetting
from chainrule.verdict.headline import headline, how_to_go_on, to_do
from chainrule.verdict.health import judge
from chainrule.verdict.of_a_run import findings
from chainrule.verdict.preference import preference_words
from chainrule.verdict.start import judge_start
from chainrule.verdict.thresholds import THRESHOLDS
from chainrule.verdict.verdicts import MARKS, Verdict
from chainrule.verdict.words import (
    BASELINE_NAMES,
    against_baselines,
    known_baselines,
    more_time,
    removed,
    scored,
    share_interval,
    task_figures,
    task_words,
)

__all__ = [
    "BASELINE_NAMES",
    "MARKS",
    "THRESHOLDS",
    "Overview",
    "Verdict",
    "against_baselines",
    "compare",
    "findings",
    "headline",
    "how_to_go_on",
    "judge",
    "judge_forgetting",
    "judge_start",
    "known_baselines",
    "more_time",
    "overview_or_name",
    "preference_words",
    "removed",
    "scored",
    "share_interval",
    "task_figures",
    "task_words",
    "to_do",
]
