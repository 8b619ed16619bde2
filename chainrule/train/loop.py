"""The training loop."""

import time

from chainrule.base import Interrupted
from chainrule.train.checkpoints import close_saver, save, settle
from chainrule.train.guard import MOST_KEPT, keep_skipped, stop_when_lost
from chainrule.train.health import RunHealth
from chainrule.train.looks import look
from chainrule.train.meter import Meter
from chainrule.train.replan import replan
from chainrule.train.saving import background_for
from chainrule.train.session import Session
from chainrule.train.state import seed_step
from chainrule.train.step import StepResult, StepSettings, train_step


def train(session: Session) -> None:
    """Trains from where the state stands to the last step.

    A signal saves between two steps and raises Interrupted. A second Ctrl-C raises inside the step: nothing is saved
    then, because weights, optimizer and numbers belong together only between two steps, and the last checkpoint stays.
    """
    learning = session.lesson.learning(session.config)
    session.saver, sentence = background_for(session.config, session.facts, session.micro_batch, learning)
    if sentence:
        session.note(sentence)
    try:
        _train(session)
    finally:
        # Whatever ended it: the run's folder is nobody else's before the last byte is written.
        with session.stop.held():
            close_saver(session)


def _train(session: Session) -> None:
    clock = session.budget.clock
    meter = Meter(session)
    health = RunHealth(session) if session.config.training.health_every else None
    with session.stop.deferred():
        while _another_step(session):
            try:
                replan(session)
                began, whole = clock.now(), session.step_share(session.state.progress.step)
                meter.count(update(session, health))
                session.budget.pace.stepped((clock.now() - began) / whole)
            except Interrupted:
                with session.stop.held():
                    session.note("ended inside a step, without saving; a resume goes on from the last checkpoint")
                raise


def _another_step(session: Session) -> bool:
    """Looks at what is due between two steps, and whether a step follows; saves when a signal asks for the end."""
    progress = session.state.progress
    try:
        session.stop.obey()
        settle(session)
        if progress.looked < progress.step:
            look(session)
        session.stop.obey()
    except Interrupted:
        with session.stop.held():
            save(session)
        raise
    return progress.step < session.course.steps


def update(session: Session, health: RunHealth | None = None) -> StepResult:
    """One step: the next windows, an update or a skip, and the numbers moved on."""
    progress, config = session.state.progress, session.config
    started = time.perf_counter()
    n_pieces = session.window_pieces(progress.step)
    windows = session.batches.windows(progress.samples, config.batch_windows, n_pieces)
    read = time.perf_counter()
    if health:
        health.begin(windows)
    seed_step(config.training.seed, progress.step)
    session.state.model.train()
    settings = StepSettings(
        factor=session.factor(progress.step),
        micro_batch=session.micro_batch * n_pieces,
        grad_clip=config.optimizer.grad_clip,
        precision=session.precision,
    )
    state = session.state
    result = train_step(state.model, state.optimizer, session.objective, windows, settings, health)
    progress.step += 1
    progress.samples += config.batch_windows
    if health:
        health.end()
    ended = time.perf_counter()
    progress.seconds += ended - started
    session.phases.add("data", read - started)
    session.phases.add("step", ended - read)
    progress.bad_in_row = 0 if result.applied else progress.bad_in_row + 1
    if not result.applied:
        progress.n_skipped += 1
        first = progress.samples - config.batch_windows
        path = session.patient(
            lambda: keep_skipped(session.run.skipped, progress.step, first, windows, result, session.tokenizer)
        )
        kept = f"its batch is in {path}" if path else f"{MOST_KEPT} such batches are in {session.run.skipped} already"
        session.note(
            f"step {progress.step} gave a non-finite loss or gradient and was skipped; {kept}",
            loss=str(result.loss),
            grad_norm=str(result.grad_norm),
        )
        stop_when_lost(progress.bad_in_row, config.training.bad_steps, progress.step, kept)
    return result
