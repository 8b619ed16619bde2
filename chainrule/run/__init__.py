"""The run folder: the only wire between the trainer and everything that looks at it."""

from chainrule.run.folder import RunFolder, list_runs, open_run
from chainrule.run.journal import append_row, cut_after_step, read_rows, rewrite_rows
from chainrule.run.lock import is_running, run_lock, turn_lock

__all__ = [
    "RunFolder",
    "append_row",
    "cut_after_step",
    "is_running",
    "list_runs",
    "open_run",
    "read_rows",
    "rewrite_rows",
    "run_lock",
    "turn_lock",
]
