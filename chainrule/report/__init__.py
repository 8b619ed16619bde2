"""One self-contained HTML page for a run."""

from chainrule.report.page import write_report
from chainrule.report.words import BASELINE_NAMES, scored, verdict

__all__ = ["BASELINE_NAMES", "scored", "verdict", "write_report"]
