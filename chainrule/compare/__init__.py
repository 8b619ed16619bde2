"""Runs side by side: curves at equal cost, settings, samples, and what of their difference is noise."""

from chainrule.compare.found import Comparison, compare_runs
from chainrule.compare.groups import Group
from chainrule.compare.page import write_comparison
from chainrule.compare.seeds import Missing, missing_seeds, require_seeds_room, train_seed
from chainrule.compare.tables import comparison_tables

__all__ = [
    "Comparison",
    "Group",
    "Missing",
    "compare_runs",
    "comparison_tables",
    "missing_seeds",
    "require_seeds_room",
    "train_seed",
    "write_comparison",
]
