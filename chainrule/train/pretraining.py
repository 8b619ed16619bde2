"""From raw text to a trained model: the whole path of one run."""

import math
import shlex
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from chainrule.base import (
    ChainruleError,
    ConfigError,
    DiskError,
    Interrupted,
    RunError,
    freed_memory_kept,
    system_refusals,
)
from chainrule.checkpoint import clean_stumps
from chainrule.config import Layer
from chainrule.plan import draft, time_budget
from chainrule.run import Event, RunFolder, Summary, read_start, read_summary
from chainrule.train.claim import claimed
from chainrule.train.finish import interrupted
from chainrule.train.fork import begin_fork, find_fork
from chainrule.train.live_page import LivePage, Report
from chainrule.train.loop import train
from chainrule.train.mend import put_back
from chainrule.train.record import start_record
from chainrule.train.resume import is_finished
from chainrule.train.room import way_on
from chainrule.train.session import Session
from chainrule.train.stages import Start
from chainrule.train.start import again, anew
from chainrule.train.stop import Stop
from chainrule.train.team import Team
from chainrule.train.text_lesson import TextLesson
from chainrule.train.watch import Watch, silent


def pretrain(
    layers: Sequence[Layer] | Sequence[str] | str | Path,
    run_path: Path | str,
    *,
    minutes: float | None = None,
    resume: bool = False,
    watch: Watch = silent,
    begun: float | None = None,
    report: Report | None = None,
    team: Team | None = None,
) -> Summary:
    """Trains a model on raw text and returns the summary; everything is written into the folder `run_path`.

    `layers` are settings on top of the defaults, the later over the earlier, text.paths among them; or a text alone:
    the path of a folder or file, or several. `minutes` is the time for everything; without it, and without
    training.steps, a default. With `resume` the run in the folder goes on, bit for bit on the same machine's CPU; then
    `minutes` is the time that it gets from now on. With origin.fork it is a new run that begins at a checkpoint of
    another, with what the layers change of that one's settings; then `minutes` are those from there on, and without
    them it has the steps that the other one has. `watch` hears what happens. A signal (train/stop.py lists them)
    saves and returns a summary with status "interrupted" and its number; one that comes when the run is finished raises
    Interrupted. Raises ChainruleError (see its tree) for everything that can be wrong with settings, text, machine and
    disk; a start that fails before its first step leaves no folder, unless much was prepared in it. `begun` is the
    time.perf_counter() from which the minutes count, when that was earlier than now. `report`
    (chainrule.report.write_report) is called at looks, so that the page can be watched, and when summary.json is there,
    with the run and the seconds that it may take;
    the summary that is returned then says as "report" where it wrote. `team` are processes that train together, led by
    this one (chainrule.ranks makes it).
    """
    begun = time.perf_counter() if begun is None else begun
    layers, run = _layers(layers), RunFolder(Path(run_path))
    if resume and run.tuning.is_file():
        raise RunError(f"{run_path} is a run of fine-tuning; it goes on by `chainrule finetune --resume {run_path}`")
    fork = None if resume else find_fork(layers, minutes)
    if fork:
        begin = partial(begin_fork, fork=fork, layers=layers, minutes=minutes)
        return carried_out(Way(layers, begin, minutes, team=team), run, watch=watch, begun=begun, report=report)
    budget = None if resume else time_budget(layers, minutes)
    if not resume:
        draft(layers, budget)  # what is wrong with the settings is said before anything is made
    way = Way(
        layers,
        lambda start: again(start, layers, minutes) if resume else anew(start, layers, budget),
        minutes=minutes if resume else budget,
        resume=resume,
        team=team,
    )
    return carried_out(way, run, watch=watch, begun=begun, report=report)


@dataclass(frozen=True)
class Way:
    """How a run begins: what was asked for, and what makes the session of a start, with its lesson."""

    layers: Sequence[Layer]
    begin: Callable[[Start], Session]
    minutes: float | None = None
    resume: bool = False
    team: Team | None = None


def carried_out(way: Way, run: RunFolder, *, watch: Watch, begun: float, report: Report | None) -> Summary:
    """The whole path of one run, of whichever lesson: the folder claimed, begun, trained, finished, reported.

    See `pretrain` for signals, errors and what is left where.
    """
    page = LivePage(run, report)
    try:
        return _carried_out(way, run, watch=watch, begun=begun, page=page)
    finally:
        page.close()


def _carried_out(way: Way, run: RunFolder, *, watch: Watch, begun: float, page: LivePage) -> Summary:
    resume, report = way.resume, page.report
    with Stop() as stop, freed_memory_kept(), claimed(run, watch, resume=resume, begun=begun) as claim:
        if resume:
            put_back(run, watch)
        if resume and is_finished(run, way.layers) and way.minutes is None:
            return _finished_already(run, watch, report)
        session: Session | None = None
        try:
            with system_refusals():
                clean_stumps(run.checkpoints)
                clean_stumps(run.spikes)
                if not resume:
                    claim.take_over(start_record(way.layers, way.minutes))
                session = way.begin(Start(run, watch, stop, begun, TextLesson(), way.team))
                session.page = page
                train(session)
                summary = session.lesson.finish(session, begun=begun, before=read_start(run).before)
        except Interrupted as fault:
            with stop.held():
                summary = interrupted(session, fault.signal_number, begun)
                if session is None and not resume:
                    claim.give_up()
        except (ChainruleError, OSError) as fault:  # OSError: a word that is longer than any path
            if isinstance(fault, DiskError) and session is not None:
                raise DiskError(f"{fault} {way_on(run)}") from fault
            if session is None and not resume:
                claim.give_up()
            raise
        if summary.status == "finished":
            # Before anything is said of the end, and when summary.json is there.
            summary = _reported(run, summary, report)
        watch(summary)
    return summary


def _layers(given: Sequence[Layer] | Sequence[str] | str | Path) -> Sequence[Layer]:
    """Layers as they are; of a path, or several, the layer that names the text."""
    paths = [given] if isinstance(given, str | Path) else given
    layers = [one for one in paths if isinstance(one, Layer)]
    if len(layers) == len(paths):
        return layers
    if layers or not all(isinstance(one, str | Path) for one in paths):
        kinds = ", ".join(dict.fromkeys(type(one).__name__ for one in paths))
        raise ConfigError(f"pretrain was given {kinds}; give layers of settings, or paths of text, and not both")
    return [Layer("text", {"text": {"paths": [str(path) for path in paths]}})]


def _finished_already(run: RunFolder, watch: Watch, report: Report | None) -> Summary:
    done = read_summary(run)
    watch(
        Event(
            f"the run finished already, at step {done.step}; there is nothing to go on with. To learn longer, in a run "
            f"of its own: chainrule pretrain --fork {shlex.quote(str(run.path))} --minutes 10 (in the same folder: "
            f"chainrule pretrain --resume {shlex.quote(str(run.path))} --minutes 10)"
        )
    )
    done = _reported(run, done, report)
    watch(done)
    return done


def _reported(run: RunFolder, summary: Summary, report: Report | None) -> Summary:
    if report is None:
        return summary
    return replace(summary, report=str(report(run, summary.report_seconds or math.inf)))
