"""The run folder: the only wire between the trainer and everything that looks at it."""

from chainrule.run.begin import check_free, forget_start, is_begun
from chainrule.run.folder import RunFolder, list_runs, open_run
from chainrule.run.health_record import HealthRecord, mean_noise
from chainrule.run.journal import append_row, cut_after_step, damaged_rows, read_rows, rewrite_rows, rows_from_end
from chainrule.run.lock import is_running, run_lock, turn_lock
from chainrule.run.noise import NoiseScale, noise_scale
from chainrule.run.sound import known_values, read_record, sound_row

__all__ = [
    "HealthRecord",
    "NoiseScale",
    "RunFolder",
    "append_row",
    "check_free",
    "cut_after_step",
    "damaged_rows",
    "forget_start",
    "is_begun",
    "is_running",
    "known_values",
    "list_runs",
    "mean_noise",
    "noise_scale",
    "open_run",
    "read_record",
    "read_rows",
    "rewrite_rows",
    "rows_from_end",
    "run_lock",
    "sound_row",
    "turn_lock",
]
