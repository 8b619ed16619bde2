"""The steps planned again on the way, so that a run ends when it was told to, whatever else the machine does.

Between two steps the time that is left is held against the time that the rest will take at the speed of late. When they
part, the run gets another number of steps, and what is left of its schedule is stretched over them (see Course). A
decision is written into events.jsonl before it is followed. A run that was killed and goes on from an earlier
checkpoint takes the same decisions at the same steps and asks no clock until it is past the last of them: so it comes
to the same bits.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from chainrule.base import duration_text
from chainrule.run import Event, Plan, Replanned, RunFolder, read_start, resume_command, rows_of, write_run_json
from chainrule.train.budget import sparse_enough
from chainrule.train.course import Course
from chainrule.train.fewer import follow_known, known_fewer, may_take_fewer, take_fewer, use_decided
from chainrule.train.pace import Budget
from chainrule.train.session import Session, write_event
from chainrule.train.watch import silent

# A plan that is off by less of the time that is left stays: the next steps may make up for it. To be early is no harm
# but for what could have been learnt in the time; to be late breaks a promise.
LATE_SHARE, EARLY_SHARE = 0.02, 0.04
# Not again before this share of the whole time, or of the time that is left where that is less.
APART_SHARE, APART_LEFT = 1 / 20, 1 / 4
# Steps that must have been measured since the last time, and how late is too late to wait for anything.
MEASURED_STEPS, URGENT = 3, 0.25
# A change of the total by this share is worth a line; steps this many times as long as the probed ones have a reason.
TOLD_SHARE, SLOWED = 0.05, 1.6
# One other program leaves at least half of two cores; where steps take longer still, threads wait for each other.
WAITING = 2.5
# Intervals follow the steps when these have changed by more than this factor since they last did.
RESPACED = 1.5
# What a decision is, in events.jsonl: for which schedule, and what.
TURN = ("steps", "spacing", "sparse", "planned", "leg")


def replan(session: Session) -> None:
    """Before an update: follows a decision of an earlier start, or takes one when it is time."""
    progress, budget = session.state.progress, session.budget
    follow_known(session)
    _say_when_slow(session)
    if budget.known:
        if made := budget.known.pop(progress.step, None):
            _follow(session, made)
        return
    steps = _wanted_steps(session)
    if steps is not None:
        _decide(session, steps)


def _decide(session: Session, steps: int) -> None:
    """Writes the decision down, tells it when it is worth telling, and follows it."""
    progress, budget, training = session.state.progress, session.budget, session.config.training
    spacing = steps / training.steps
    if 1 / RESPACED < spacing / progress.spacing < RESPACED:
        spacing = progress.spacing
    sparse = sparse_enough(budget.pace.costs, training, spacing, progress.sparse)
    course = session.course
    made = dict(zip(TURN, (steps, spacing, sparse, course.planned, course.leg), strict=True))
    told = abs(steps - budget.said_steps) > TOLD_SHARE * budget.said_steps or sparse != progress.sparse
    message = _sentence(session, steps, sparse)
    watch = session.watch if told else silent
    session.patient(lambda: write_event(session.run, watch, message, step=progress.step, turn=made))
    if told:
        budget.said_steps = steps
    _follow(session, made)


def take_up_decisions(session: Session) -> None:
    """What the run decided from its present step on before it was killed, to be decided again: steps, threads."""
    budget = session.budget
    budget.known = known_decisions(session.run, session.course, session.state.progress.step)
    budget.known_threads = known_fewer(session)
    use_decided(session)


def known_decisions(run: RunFolder, course: Course, step: int) -> dict[int, Mapping[str, Any]]:
    """What the run decided from `step` on before it was killed, by step, but for the turns that `course` has taken.

    What was decided for another schedule (a run that was since given more steps) concerns this one no more.
    """
    taken = {turn for turn, _ in course.turns}
    return {
        event.step: event.turn
        for event in rows_of(run.events, Event)
        if event.step is not None and event.turn is not None and _is_turn(event.turn, course)
        if event.step >= step and event.step not in taken
    }


def _is_turn(made: Any, course: Course) -> bool:
    numbers = isinstance(made, dict) and all(type(made.get(key)) in (int, float) for key in TURN)
    sound = numbers and made["steps"] >= 1 and made["spacing"] > 0 and made["sparse"] >= 1
    return sound and (made["planned"], made["leg"]) == (course.planned, course.leg)


def keep_plan(session: Session) -> Plan:
    """Writes the steps as they are planned now into machine.json, for those who look; returns the plan."""
    record = read_start(session.run)
    steps = session.course.steps
    plan = replace(record.plan or Plan(), steps=steps, tokens=steps * session.batch_tokens)
    session.patient(lambda: write_run_json(session.run, session.run.machine, replace(record, plan=plan).row()))
    return plan


def _wanted_steps(session: Session) -> int | None:
    """Another number of steps, when the present one does not fit the time."""
    progress, budget = session.state.progress, session.budget
    pace, left = budget.pace, budget.left
    costs, remaining = session.costs_ahead(), session.course.steps - progress.step
    if left < costs.last + costs.step / 2 and remaining > 1:
        return progress.step + 1  # the hard end: there is no time for anything else
    # At the end of a plan each step that was measured counts: beside another program the probe may have been wrong by a
    # factor, and after the last step it is too late.
    enough = 1 if remaining <= MEASURED_STEPS else MEASURED_STEPS
    if budget.seconds is None or pace.n_steps - budget.turned_after < enough:
        return None
    slack = left - costs.of_steps(remaining, session.intervals)
    apart = min(APART_SHARE * budget.seconds, APART_LEFT * max(left, 0.0))
    waited = budget.clock.spent() - budget.turned_at >= apart
    if not waited and slack > -URGENT * max(left, costs.step):
        return None
    if -max(LATE_SHARE * left, costs.step) <= slack <= EARLY_SHARE * left + costs.step:
        return None
    steps = progress.step + costs.steps_in(left, session.intervals)
    return None if steps == session.course.steps else steps


def _follow(session: Session, made: Mapping[str, Any]) -> None:
    """Takes the decision up: in the state, in machine.json for those who look, and on the screen."""
    progress, budget = session.state.progress, session.budget
    progress.turns.append([progress.step, max(int(made["steps"]), progress.step + 1)])
    progress.spacing, progress.sparse = float(made["spacing"]), int(made["sparse"])
    budget.turned_at, budget.turned_after = budget.clock.spent(), budget.pace.n_steps
    session.watch(Replanned(keep_plan(session)))


def _sentence(session: Session, steps: int, sparse: int) -> str:
    costs, budget, now = session.costs_ahead(), session.budget, session.course.steps
    text = (
        f"planned again: {steps:,} steps instead of {now:,}, because a step takes {duration_text(costs.step)} and "
        f"{duration_text(max(budget.left, 0.0))} are left for them"
    )
    if sparse != session.state.progress.sparse:
        text += f"; looks and samples take too much of the time and come {sparse} times as far apart as was planned"
    return text


def _say_when_slow(session: Session) -> None:
    """Once: steps that take much longer than at the start mean that somebody else is using the machine."""
    budget: Budget = session.budget
    pace = budget.pace
    if budget.said_slow or pace.n_steps - budget.slow_after < 2 * MEASURED_STEPS or not pace.first:
        return
    times = pace.costs.step / pace.first
    if times > SLOWED and pace.costs.step * pace.n_steps > pace.memory / 2:
        what = "processor" if session.facts.device == "cpu" else "machine"
        threads = session.facts.threads
        said = (
            f"another program is using the {what}: a step takes {times:.1f} times as long as at the start "
            f"({duration_text(pace.costs.step)} instead of {duration_text(pace.first)})"
        )
        waiting = threads > 1 and session.facts.device == "cpu" and times > WAITING
        if waiting and may_take_fewer(session):
            take_fewer(session, said)
            return
        budget.said_slow = True
        if waiting:
            command = f"{resume_command(session.run)} --machine.threads {threads - 1}"
            said += (
                f". More than its share of the cores costs that, threads wait for each other: Ctrl-C, then `{command}`"
                " (a run with --machine.when-busy fewer-threads does that by itself)"
            )
        session.note(said)
