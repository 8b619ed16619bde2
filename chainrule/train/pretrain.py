"""From raw text to a trained model: the whole path of one run."""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from chainrule.base import RunError, disk_faults, system_refusals
from chainrule.checkpoint import clean_stumps
from chainrule.config import Layer
from chainrule.device import freed_memory_kept
from chainrule.run import RunFolder, run_lock
from chainrule.train.finish import finish, interrupted
from chainrule.train.loop import train
from chainrule.train.resume import saved_settings
from chainrule.train.session import Session, read_json
from chainrule.train.settings import time_budget
from chainrule.train.start import Start
from chainrule.train.stop import Interrupted, Stop
from chainrule.train.watch import Watch, silent


def pretrain(
    layers: Sequence[Layer],
    run_path: Path,
    *,
    minutes: float | None = None,
    resume: bool = False,
    watch: Watch = silent,
) -> dict[str, Any]:
    """Trains a model on raw text and returns the summary; everything is written into the folder `run_path`.

    `layers` are settings on top of the defaults, the later over the earlier; text.paths must be among them. `minutes`
    is the time for everything; without it, and without training.steps, a default. With `resume` the run in the folder
    goes on, bit for bit on the same machine. `watch` hears what happens. SIGINT and SIGTERM save and return a summary
    with status "interrupted" and the signal's number. Raises ChainruleError (see its tree) for everything that can be
    wrong with settings, text, machine and disk.
    """
    begun = time.perf_counter()
    run = RunFolder(run_path)
    _make_folder(run, resume)
    with system_refusals(), run_lock(run), freed_memory_kept(), Stop() as stop:
        if resume and (done := _finished(run, layers)):
            watch(
                "notice",
                {"message": f"the run finished already, at step {done['step']}; there is nothing to go on with"},
            )
            watch("finished", done)
            return done
        clean_stumps(run.checkpoints)
        clean_stumps(run.spikes)
        start = Start(run, watch, stop, begun)
        session: Session | None = None
        try:
            session = start.again(layers) if resume else start.anew(layers, time_budget(layers, minutes))
            train(session)
            summary = finish(session, begun=begun, before=read_json(run.machine).get("before"))
        except Interrupted as fault:
            summary = interrupted(session, fault.signal_number, begun)
        watch("finished", summary)
    return summary


def _finished(run: RunFolder, layers: Sequence[Layer]) -> dict[str, Any] | None:
    """The summary of a run that reached its last step; raises ConfigError when the layers would make it another run."""
    saved_settings(run, layers)
    summary = read_json(run.summary)
    return summary if summary.get("status") == "finished" else None


def _make_folder(run: RunFolder, resume: bool) -> None:
    if not resume and run.config.exists():
        raise RunError(
            f"{run.path} holds a run already, and nothing is overwritten; go on with it by --resume, or give the "
            "new run another name"
        )
    with disk_faults(run.path, "creating"):
        run.path.mkdir(parents=True, exist_ok=True)
