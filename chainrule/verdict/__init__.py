"""Every judgement on a run in one place: what was seen, what it means, what to try."""

from chainrule.verdict.comparison import Overview, compare, overview_or_name
from chainrule.verdict.first_words import headline, how_to_go_on, to_do
from chainrule.verdict.forgetting import judge_forgetting
from chainrule.verdict.health import judge
from chainrule.verdict.of_a_run import findings
from chainrule.verdict.pairs import Paired, jackknife_half, judge_pair, paired, shared_confidence, spread_text
from chainrule.verdict.preference import preference_words
from chainrule.verdict.start import judge_start
from chainrule.verdict.thresholds import THRESHOLDS
from chainrule.verdict.tuned import judge_tuning
from chainrule.verdict.verdicts import MARKS, Verdict
from chainrule.verdict.words import (
    BASELINE_NAMES,
    against_baselines,
    known_baselines,
    lineage_words,
    more_time,
    removed,
    scored,
    share_interval,
    skipped_words,
    task_figures,
    task_words,
)

__all__ = [
    "BASELINE_NAMES",
    "MARKS",
    "THRESHOLDS",
    "Overview",
    "Paired",
    "Verdict",
    "against_baselines",
    "compare",
    "findings",
    "headline",
    "how_to_go_on",
    "jackknife_half",
    "judge",
    "judge_forgetting",
    "judge_pair",
    "judge_start",
    "judge_tuning",
    "known_baselines",
    "lineage_words",
    "more_time",
    "overview_or_name",
    "paired",
    "preference_words",
    "removed",
    "scored",
    "share_interval",
    "shared_confidence",
    "skipped_words",
    "spread_text",
    "task_figures",
    "task_words",
    "to_do",
]
