"""Learning rate and batch by short trainings, and a configuration of what was measured to be better."""

from chainrule.tune.outcome import Tuned
from chainrule.tune.page import write_tuned_page
from chainrule.tune.search import resume_tune, tune
from chainrule.tune.tables import row_of, tuning_tables

__all__ = [
    "Tuned",
    "resume_tune",
    "row_of",
    "tune",
    "tuning_tables",
    "write_tuned_page",
]
