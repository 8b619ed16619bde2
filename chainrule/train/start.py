"""From what was asked for to a session that is ready for its next step: a new run, or one that goes on."""

from collections.abc import Sequence
from dataclasses import replace

from chainrule.checkpoint import Checkpoint
from chainrule.config import Layer, resolve
from chainrule.run import is_begun, read_start, write_run_json
from chainrule.train.checkpoints import prune
from chainrule.train.mend import own_settings
from chainrule.train.origin import Origin, find_origin, old_dataset, score_before
from chainrule.train.planned import Planned, more_time, plan_time, take_up_time
from chainrule.train.prepare import data_row, machine_record
from chainrule.train.record import asked_for
from chainrule.train.replan import keep_plan
from chainrule.train.resume import (
    check_fits,
    check_settings,
    checkpoint_to_resume,
    cut_journals,
    going_on,
    note_differences,
    other_steps,
    saved_settings,
)
from chainrule.train.room import check_room
from chainrule.train.session import Session
from chainrule.train.settings import in_windows, plan_row, save_settings
from chainrule.train.stages import Asked, Probed, Settled, Start, Surveyed


def anew(start: Start, layers: Sequence[Layer], minutes: float | None) -> Session:
    """A new run, or one that ended before its first step: what it prepared is kept."""
    asked = Asked.of(start, layers, minutes)
    return ready(start, Settled.anew(start, Surveyed.of(start, asked)), asked.origin, minutes)


def ready(start: Start, settled: Settled, origin: Origin | None, minutes: float | None) -> Session:
    """The session of a new run: updates tried, the steps planned, and all of it written down."""
    probed = Probed.of(start, settled)
    session, record = probed.session, probed.record
    if origin:
        start.lesson.first_model(session.config, session.state.model, origin.opened)
        start.lesson.begin(session)
        record = replace(record, before=score_before(session, minutes, probed.step_seconds))
    planned = plan_time(probed, minutes)
    session.config = planned.resolved.config
    planned_as = in_windows(session.config, start.lesson.window_tokens(session.config))
    data = data_row(session.dataset, planned_as)
    learning = start.lesson.learning(session.config)
    plan = plan_row(planned_as, session.facts, probed.step_seconds, learning)
    for row in (data, plan):
        start.watch(row)
    record = replace(record, budget=planned.time, machine=machine_record(session.facts), plan=plan, data=data)
    # The plan in machine.json comes last: a start that a kill left without it begins anew when it is resumed.
    save_settings(start.run, planned.resolved)
    write_run_json(start.run, start.run.machine, record.row())
    for sentence in planned.sentences:
        session.note(sentence)
    session.note(f"started: {session.config.training.steps} steps")
    return session


def again(start: Start, layers: Sequence[Layer], minutes: float | None) -> Session:
    """The run in the folder, from its newest whole checkpoint, or from its first step when it has none.

    With `minutes` it gets as many steps more as fit into that time from now on.
    """
    run, record = start.run, read_start(start.run)
    resolved = saved_settings(run, layers)
    if minutes is None and record.budget is None and resolved.config.origin.fork:
        minutes = record.minutes  # a fork that was killed before its time was planned
    if record.plan is None and not is_begun(run):
        asked, before = asked_for(run)
        return anew(start, [*asked, *layers], before if minutes is None else minutes)
    # Of a finished run that gets more minutes the steps are not known yet: at least one checkpoint comes.
    learning = start.lesson.learning(resolved.config)
    check_room(run, resolved.config, count=None if minutes is None else 1, learning=learning)
    settled = Settled.again(start, resolved, record)
    checkpoint = checkpoint_to_resume(run, start.watch)
    if checkpoint:
        check_settings(checkpoint, run, resolved.config)
        check_fits(checkpoint, settled.dataset, settled.tokenizer, old_dataset(run))
    probed = Probed.of(start, settled)
    _take_up(start, probed.session, checkpoint)
    return _going_on(start, probed, _time(probed, minutes), checkpoint)


def _take_up(start: Start, session: Session, checkpoint: Checkpoint | None) -> None:
    """The state of the checkpoint; without one the run begins again where it began."""
    # After the trial, which empties the optimizer.
    if checkpoint:
        start.lesson.restore(session.config, session.state.model, checkpoint)
        session.state.restore(checkpoint)
        note_differences(checkpoint, session.config, session.facts, start.run, start.watch)
    elif origin := find_origin(session.config, []):
        start.lesson.first_model(session.config, session.state.model, origin.opened)
    start.lesson.begin(session)


def _time(probed: Probed, minutes: float | None) -> Planned:
    """The steps and the time from now on."""
    resolved, known = probed.resolved, probed.record.budget
    if minutes is not None:
        return more_time(probed, minutes)
    before = resolve([own_settings(probed.session.run)]).config
    if known is None or resolved.config.training.steps != before.training.steps:
        # Nothing is known of a time, or a number of steps was asked for, whatever time they take.
        return plan_time(probed, None)
    return Planned(resolved, known)


def _going_on(start: Start, probed: Probed, planned: Planned, checkpoint: Checkpoint | None) -> Session:
    """The session on its way again, all of it written down, and the journals as they were at its step."""
    run, session = start.run, probed.session
    session.config, progress = planned.resolved.config, session.state.progress
    for sentence in planned.sentences:
        session.note(sentence)
    if checkpoint and (told := other_steps(checkpoint, progress, session.config)):
        session.note(told)
    going_on(run)
    write_run_json(run, run.machine, replace(probed.record, budget=planned.time, sealed=True).row())
    save_settings(run, planned.resolved)
    ends = checkpoint.state.get("journals") if checkpoint else None
    cut_journals(run, progress.step, progress.looked, start.watch, ends)
    take_up_time(session, planned.time)
    keep_plan(session)
    prune(session)  # a kill between the last save and what it makes superfluous left that behind
    session.note(f"resumed at step {progress.step} of {session.course.steps}")
    return session
