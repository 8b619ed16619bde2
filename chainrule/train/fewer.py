"""Fewer threads beside another program, where machine.when_busy asks for that: decided, written down, decided again.

Threads that share their cores wait for each other at every operation. Bits depend on their number, so a decision is a
row of events.jsonl before it is followed, and part of the state: a run that was killed, a verification and a replay
change over at the same step, and ask no clock.
"""

from chainrule.device import on_threads, use_threads
from chainrule.run import Event, rows_of
from chainrule.train.session import Session, write_event


def use_decided(session: Session) -> None:
    """Computes with the threads that the run decided on for its present step, or was begun with."""
    progress = session.state.progress
    wanted = session.config.machine.threads
    if session.config.machine.when_busy == "fewer-threads" and progress.threads:
        wanted = progress.threads[-1][1]
    if wanted and wanted != session.facts.threads:
        use_threads(wanted)
        session.facts = on_threads(session.facts, wanted)


def known_fewer(session: Session) -> dict[int, int]:
    """Threads by step, as the run decided from its present step on before it was killed."""
    if session.config.machine.when_busy != "fewer-threads":
        return {}
    step, taken = session.state.progress.step, {step for step, _ in session.state.progress.threads}
    return {
        event.step: event.threads
        for event in rows_of(session.run.events, Event)
        if event.step is not None and event.threads is not None and event.threads > 0
        if event.step >= step and event.step not in taken
    }


def follow_known(session: Session) -> None:
    """Before an update: takes a decision of an earlier start once more."""
    if made := session.budget.known_threads.pop(session.state.progress.step, None):
        _follow(session, made)


def may_take_fewer(session: Session) -> bool:
    """Whether one thread fewer is to be had, was asked for, and no earlier start has decided on it already."""
    wanted = session.config.machine.when_busy == "fewer-threads"
    return wanted and session.facts.threads > 1 and not session.budget.known_threads


def take_fewer(session: Session, why: str) -> None:
    """Writes down that the run goes on with one thread fewer, and does."""
    now, step = session.facts.threads, session.state.progress.step
    left = f"{now - 1} thread{'s' if now > 2 else ''}"
    said = f"{why}: going on with {left} instead of {now} (machine.when_busy), and with the bits of {left}"
    session.patient(lambda: write_event(session.run, session.watch, said, step=step, threads=now - 1))
    _follow(session, now - 1)


def _follow(session: Session, threads: int) -> None:
    progress, pace = session.state.progress, session.budget.pace
    before = session.facts.threads
    progress.threads.append([progress.step, threads])
    use_decided(session)
    # What a step takes on a free machine from now on, so that the next program is noticed as well.
    pace.first *= before / threads
    session.budget.slow_after = pace.n_steps
