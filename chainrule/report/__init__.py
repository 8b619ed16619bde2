"""One self-contained HTML page for a run."""

from chainrule.report.page import write_report
from chainrule.report.words import BASELINE_NAMES, more_time, scored, verdict

__all__ = ["BASELINE_NAMES", "more_time", "scored", "verdict", "write_report"]
