"""One self-contained HTML page for a run."""

from chainrule.report.page import write_report
from chainrule.report.words import BASELINE_NAMES, verdict

__all__ = ["BASELINE_NAMES", "verdict", "write_report"]
