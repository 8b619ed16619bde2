"""Learning rate and batch by short trainings, and a configuration of what was measured to be better."""

from chainrule.tune.outcome import Tuned
from chainrule.tune.page import write_tuned_page
from chainrule.tune.planning import prepare_search
from chainrule.tune.search import resume_tune, tune
from chainrule.tune.state import TuneFolder, asked, read_state, write_state
from chainrule.tune.tables import row_of, tuning_tables
from chainrule.tune.trainings import Search, Tell, short_training

__all__ = [
    "Search",
    "Tell",
    "TuneFolder",
    "Tuned",
    "asked",
    "prepare_search",
    "read_state",
    "resume_tune",
    "row_of",
    "short_training",
    "tune",
    "tuning_tables",
    "write_state",
    "write_tuned_page",
]
