"""`chainrule log`: a run told to TensorBoard, trackio or Weights & Biases."""

import os
import signal
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from chainrule.base import TrainingError
from chainrule.cli.options import RunsFolder
from chainrule.cli.output import say
from chainrule.run import RUNS, RunFolder, find_run, is_running

# A tracker must not take processor time from the training beside it.
NICENESS = 10


def log(
    run: str,
    /,
    *,
    to: Literal["tensorboard", "trackio", "wandb"],
    beside: Annotated[bool, Parameter(negative=(), show=False)] = False,
    runs_folder: RunsFolder = RUNS,
) -> None:
    """Tell a run's figures and samples to another tracker: all that is there, and what comes while it goes on.

    The run itself is only read. `pretrain --log-to` and `finetune --log-to` do this while they train. For example:

    - `chainrule log runs/NAME --to tensorboard`, then `tensorboard --logdir runs/.logs/tensorboard`
    - `chainrule log runs/NAME --to trackio`, then `trackio show`
    - `chainrule log runs/NAME --to wandb`, then `wandb sync runs/.logs/wandb/wandb/offline-run-*`

    Parameters
    ----------
    run
        A run folder, or a name in the runs folder.
    to
        Which tracker. Each is an extra: `pip install 'chainrule[tensorboard]'`. wandb stays offline unless WANDB_MODE
        is online.
    """
    from chainrule import log as room

    if beside:
        room.check_tracker(to)
        _beside(RunFolder(Path(run)), to)
        return
    found = find_run(run, runs_folder)
    room.check_tracker(to)
    tracker = room.open_tracker(to, found)
    try:
        count = room.follow(found, tracker, ends=lambda: not is_running(found))
    finally:
        tracker.close()
    say(f"told {count:,} rows of {found.path} to {to}")


def _beside(run: RunFolder, to: str) -> None:
    """For a training that begins: until standard input ends, which is when that is over."""
    from chainrule import log as room

    if hasattr(os, "nice"):
        os.nice(NICENESS)
    # Ctrl-C and a closed terminal are for the training, which saves first; what it still writes is told as well.
    for number in (getattr(signal, name) for name in ("SIGINT", "SIGHUP", "SIGBREAK") if hasattr(signal, name)):
        signal.signal(number, signal.SIG_IGN)
    over = threading.Event()
    threading.Thread(target=_until_input_ends, args=(over,), daemon=True).start()
    # The settings are there once the text is prepared; a start that fails leaves nothing to tell.
    while not run.metrics.is_file():
        if over.is_set():
            return
        time.sleep(0.2)
    try:
        tracker = room.open_tracker(to, run)
        room.follow(run, tracker, ends=over.is_set)
        tracker.close()
    except Exception as fault:
        # Of anybody's code: whatever it raises is one line for the person, told when the training is over.
        raise TrainingError(f"{type(fault).__name__}: {str(fault)[:300]}") from fault


def _until_input_ends(over: threading.Event) -> None:
    # Not through sys.stdin: a thread that waits inside of its buffer makes Python abort when it ends.
    with suppress(OSError):
        while os.read(0, 1024):
            pass
    over.set()
