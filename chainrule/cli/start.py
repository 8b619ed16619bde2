"""A run as a command shows it and ends it: for `pretrain`, `quickstart` and `finetune`."""

import signal
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from chainrule.base import Interrupted, World
from chainrule.cli.loading import load_torch
from chainrule.cli.output import print_json, say
from chainrule.config import Layer
from chainrule.log import logged_beside
from chainrule.panel import listening, make_watch
from chainrule.run import Record, RunFolder, Summary

# An interpreter that starts takes no longer than this.
STARTED_SECONDS = 3.0

Training = Callable[[Callable[[Record], None], float, Callable[[RunFolder, float], Path]], Summary]
"""Trains with a watch, the time at which the command was typed, and what writes the report."""


def train_run(
    layers: Sequence[Layer],
    run: RunFolder,
    *,
    minutes: float | None,
    resume: bool = False,
    as_json: bool = False,
    log_to: tuple[str, ...] = (),
) -> int:
    """Trains, shows it, writes the report; returns the exit code: 0 done, 130 or 143 interrupted and saved.

    Where torchrun started several processes, this one leads them.
    """
    load_torch(logged=True)
    from chainrule.train import Team, pretrain

    def trained(team: Team | None) -> int:
        return watched(
            run,
            lambda watch, begun, report: pretrain(
                layers, run.path, minutes=minutes, resume=resume, watch=watch, begun=begun, report=report, team=team
            ),
            verb="pretrain",
            as_json=as_json,
            log_to=log_to,
        )

    world = World.of()
    if world.size == 1:
        return trained(None)
    from chainrule.ranks import leading

    with leading(world) as team:
        return trained(team)


def watched(run: RunFolder, training: Training, *, verb: str, as_json: bool, log_to: tuple[str, ...] = ()) -> int:
    """What `train_run` says, of any training; `verb` goes on with it."""
    # The time counts from when the command was typed: until here a command has done little but compute, and where it
    # is called from another program, nobody waited for all that this did before.
    begun = time.perf_counter() - min(time.process_time(), STARTED_SECONDS)
    load_torch(logged=True)
    from chainrule.report import write_report

    try:
        with logged_beside(run, log_to, say), listening(make_watch(json_mode=as_json)) as watch:
            summary = training(watch, begun, write_report)
    except Interrupted as fault:  # after the end: the run is finished, and its report is not
        summary = Summary("interrupted", signal=fault.signal_number)
    if as_json:
        print_json({"run": str(run.path), **summary.row()})
    if summary.status == "interrupted":
        kept = run.config.is_file()
        say(f"to go on: chainrule {verb} --resume {run.path}" if kept else "nothing was begun yet, and nothing is left")
        return 128 + (summary.signal or signal.SIGINT)
    return 0
