"""`chainrule finetune` in Python: a model and examples to a run folder, by the trainer's own loop."""

import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from chainrule.base import RunError
from chainrule.config import Layer
from chainrule.finetune.begin import Show, anew
from chainrule.finetune.lessons import lesson_of_run
from chainrule.finetune.settings import TuningSettings
from chainrule.run import RunFolder, Summary, is_begun, read_start
from chainrule.train import Report, Session, Start, Watch, Way, again, carried_out, saved_settings, silent

USUAL = TuningSettings()


def finetune(
    source: str,
    examples: Sequence[str],
    run_path: Path,
    *,
    settings: TuningSettings = USUAL,
    layers: Sequence[Layer] = (),
    minutes: float | None = None,
    watch: Watch = silent,
    show: Show | None = None,
    begun: float | None = None,
    report: Report | None = None,
) -> Summary:
    """Teaches the model of `source` the examples of these files; everything is written into the folder `run_path`.

    `source` is what `open_model` takes. `layers` are settings of the run on top of the automatic ones. Without
    `minutes` there are `settings.epochs`; with them as many steps as fit. `show` gets the first examples as they will
    be learnt, before anything is. The rest is as in chainrule.train.pretrain: signals, errors, what is left where.
    Raises DataError for rows that are none, and for the faults that `CHECKS` knows; TrainingError when the overfit
    probe fails.
    """
    made = [Layer("finetune", {"origin": {"start_from": source}, "text": {"paths": tuple(examples)}}), *layers]

    def begin(start: Start) -> Session:
        return anew(start, made, settings, minutes, show)

    way = Way(made, begin, minutes)
    begun = time.perf_counter() if begun is None else begun
    return carried_out(way, RunFolder(run_path), watch=watch, begun=begun, report=report)


def resume_finetune(
    run_path: Path,
    *,
    layers: Sequence[Layer] = (),
    minutes: float | None = None,
    watch: Watch = silent,
    begun: float | None = None,
    report: Report | None = None,
) -> Summary:
    """Goes on with a fine-tuning that was interrupted, or gives a finished one more minutes; see `finetune`."""
    run = RunFolder(run_path)
    if run.config.is_file() and read_start(run).plan is None and not is_begun(run):
        # How it was begun (epochs, adapter, objective) is known to the command alone; until then nothing was learnt.
        raise RunError(
            f"{run_path} was left before its first step; give the command that began it once more: the name is free"
        )
    if not run.tuning.is_file():
        raise RunError(f"{run_path} is no run of fine-tuning (it has no {run.tuning.name}); use pretrain --resume")

    def begin(start: Start) -> Session:
        config = saved_settings(start.run, layers).config
        return again(replace(start, lesson=lesson_of_run(start.run, config)), layers, minutes)

    way = Way(layers, begin, minutes, resume=True)
    begun = time.perf_counter() if begun is None else begun
    return carried_out(way, run, watch=watch, begun=begun, report=report)
