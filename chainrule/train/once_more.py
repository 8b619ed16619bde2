"""Steps that a run has taken, taken once more from a checkpoint, to compare: nothing is saved, looked at or decided."""

from collections.abc import Iterator

from chainrule.checkpoint import Checkpoint
from chainrule.train.loop import update
from chainrule.train.meter import Meter
from chainrule.train.replan import replan, take_up_decisions
from chainrule.train.resume import BITS_DEPEND_ON, environment_before, other_steps
from chainrule.train.session import Session, environment


def take_up(session: Session, checkpoint: Checkpoint) -> Session:
    """The session with the state of the checkpoint, on the schedule that its settings ask for."""
    session.lesson.restore(session.config, session.state.model, checkpoint)
    session.state.restore(checkpoint)
    session.lesson.begin(session)
    progress = session.state.progress
    other_steps(checkpoint, progress, session.config)
    take_up_decisions(session)
    return session


def steps_again(session: Session, last: int) -> Iterator[int]:
    """Takes one step after the other up to `last`; each is told when it is done, and its figures are journalled."""
    meter = Meter(session)
    while session.state.progress.step < min(last, session.course.steps):
        replan(session)
        meter.count(update(session))
        yield session.state.progress.step


def differing_environment(checkpoint: Checkpoint, session: Session) -> str:
    """What bits depend on and is not as it was, in words; empty where all is."""
    before, now = environment_before(checkpoint), environment(session.facts)
    return "; ".join(
        f"{key} was {before.get(key)}, is {now[key]}" for key in BITS_DEPEND_ON if before.get(key) != now[key]
    )
