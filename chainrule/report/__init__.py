"""One self-contained HTML page for a run."""

from chainrule.report.page import write_report

__all__ = [
    "write_report",
]
