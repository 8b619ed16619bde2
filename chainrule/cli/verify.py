"""`chainrule verify`: everything that the files of a run can prove of it."""

import sys

from chainrule.base import ConfigError
from chainrule.cli.loading import load_torch
from chainrule.cli.options import AsJson, RunsFolder
from chainrule.cli.output import print_json, print_table, put_line, say
from chainrule.run import RUNS, find_run

# 2 is a user's mistake, as of every command.
EXIT_CODES = {"held": 0, "wrong": 1, "not proved": 3}


def verify(run: str, /, *, seconds: float = 60.0, runs_folder: RunsFolder = RUNS, as_json: AsJson = False) -> int:
    """Verify a run: every checksum, what belongs to what, and a stretch of its training made again, bit for bit.

    Small files, journals row by row, checkpoints, token shards, the runs that it goes on from; then steps are taken
    again from one kept checkpoint to the next, and losses and weights must come out equal. Nothing is written. Exit
    code 0: all held. 1: something is wrong, and is named. 3: something could not be tried (another machine, a
    checkpoint without optimizer state, a run from before there were checksums), and why. (2 is for a mistyped name.)

    For example:

    - `chainrule verify runs/NAME`
    - `chainrule verify last --seconds 600 --json`

    Parameters
    ----------
    run
        A run folder, or a name in the runs folder; `last` is the newest.
    seconds
        How long steps are made again, at most; 0 for not at all.
    """
    if not seconds >= 0:
        raise ConfigError(f"--seconds {seconds:g} is no time; use 0 or more")
    found = find_run(run, runs_folder)
    load_torch()
    from chainrule.verify import verify_run

    result = verify_run(found, seconds=seconds, say=lambda what: say(f"{what} …"), on_step=_bar)
    if as_json:
        print_json(result.row())
        return EXIT_CODES[result.verdict]
    rows = [(one.what, f"{one.tried:,}", f"{one.held:,}", one.state) for one in result.checks]
    print_table("", ("what", "tried", "held", ""), rows)
    for one in result.checks:
        if one.note:
            put_line(f"{one.what}: {one.note}")
    put_line(f"{found.path}: {result.verdict}")
    return EXIT_CODES[result.verdict]


def _bar(done: int, total: int) -> None:
    """A line on a terminal that fills; nothing in a log."""
    if not sys.stderr.isatty():
        return
    full = 30 * done // max(1, total)
    end = "\r\x1b[K" if done == total else ""
    bar = f"\r{'█' * full}{'░' * (30 - full)} step {done:,} of {total:,}{end}"
    # Not by `say`: numbers alone, and the carriage return is meant.
    print(bar, end="", file=sys.stderr, flush=True)  # noqa: T201
