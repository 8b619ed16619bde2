"""The run folder: the only wire between the trainer and everything that looks at it."""

from chainrule.run.begin import check_free, forget_start, is_begun
from chainrule.run.facts import Facts, Row, read_facts
from chainrule.run.find import RUNS, check_source, find_run, model_source, run_of
from chainrule.run.folder import RunFolder, list_runs, open_run
from chainrule.run.health_record import HealthRecord, mean_noise
from chainrule.run.journal import append_row, cut_after_step, damaged_rows, read_rows, rewrite_rows, rows_from_end
from chainrule.run.lock import is_running, run_lock, turn_lock
from chainrule.run.names import last_begun, new_run
from chainrule.run.noise import NoiseScale, noise_scale
from chainrule.run.sound import known_values, read_record

__all__ = [
    "RUNS",
    "Facts",
    "HealthRecord",
    "NoiseScale",
    "Row",
    "RunFolder",
    "append_row",
    "check_free",
    "check_source",
    "cut_after_step",
    "damaged_rows",
    "find_run",
    "forget_start",
    "is_begun",
    "is_running",
    "known_values",
    "last_begun",
    "list_runs",
    "mean_noise",
    "model_source",
    "new_run",
    "noise_scale",
    "open_run",
    "read_facts",
    "read_record",
    "read_rows",
    "rewrite_rows",
    "rows_from_end",
    "run_lock",
    "run_of",
    "turn_lock",
]
