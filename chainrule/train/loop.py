"""The training loop."""

import time
from functools import partial

from chainrule.base import Interrupted, TrainingError
from chainrule.data import Windows
from chainrule.train.checkpoints import close_saver, save, settle
from chainrule.train.guard import (
    MOMENTS_EVERY,
    MOST_KEPT,
    check_ids,
    check_sound,
    keep_skipped,
    stop_when_lost,
    unlike_text,
    way_back,
)
from chainrule.train.health import RunHealth
from chainrule.train.looks import look
from chainrule.train.meter import Meter
from chainrule.train.replan import replan
from chainrule.train.saving import background_for
from chainrule.train.session import Session
from chainrule.train.spikes import in_words, out_of_line, remember, rewind, stop_at
from chainrule.train.state import seed_step
from chainrule.train.step import StepResult, StepSettings, train_step
from chainrule.train.together import update_together


def train(session: Session) -> None:
    """Trains from where the state stands to the last step.

    A signal saves between two steps and raises Interrupted. A second Ctrl-C raises inside the step: nothing is saved
    then, because weights, optimizer and numbers belong together only between two steps, and the last checkpoint stays.
    """
    if session.team is not None:
        session.team.take(session.state)
        told = f"{session.team.size} processes make each update together: {session.team.layout.text()}"
        if session.config.training.health_every:
            told += "; health is off, norms and activations are looked at by a run in one process"
        session.note(told)
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
    meter, health = _instruments(session)
    with session.stop.deferred():
        while _another_step(session):
            try:
                replan(session)
                began, whole = clock.spent(), session.step_share(session.state.progress.step)
                result = update(session, health)
                if result.excess and session.config.training.on_spike == "rewind" and rewind(session, result):
                    meter, health = _instruments(session)
                    continue
                meter.count(result)
                session.budget.pace.stepped((clock.spent() - began) / whole)
            except Interrupted:
                with session.stop.held():
                    session.note("ended inside a step, without saving; a resume goes on from the last checkpoint")
                raise


def _instruments(session: Session) -> tuple[Meter, RunHealth | None]:
    """What measures the steps, from where the run stands."""
    looked_at = session.config.training.health_every and session.team is None
    return Meter(session), RunHealth(session) if looked_at else None


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
    read = partial(session.batches.windows, progress.samples, config.batch_windows, n_pieces)
    windows, reading = None, 0.0
    if session.team is None:
        windows = read()
        reading = time.perf_counter() - started
        result = _update_alone(session, windows, n_pieces, health)
    else:
        acted_on = config.training.on_spike != "tell"
        result = update_together(session, n_pieces, partial(out_of_line, session) if acted_on else None)
    if result.unlike:
        raise TrainingError(unlike_text(session.run, progress.step + 1, result.unlike))
    if result.excess and config.training.on_spike == "stop":
        stop_at(session, result.excess)
    progress.step += 1
    progress.samples += config.batch_windows
    remember(session, result)
    if health:
        health.end()
    seconds = time.perf_counter() - started
    progress.seconds += seconds
    session.phases.add("data", reading)
    session.phases.add("step", seconds - reading)
    if session.team is None:  # of several each has looked at its own part
        check_state(session)
    if result.applied:
        progress.bad_in_row = 0
    else:
        _count_skipped(session, windows or read(), result)
    return result


def _update_alone(session: Session, windows: Windows, n_pieces: int, health: RunHealth | None) -> StepResult:
    """The update by this process alone."""
    state, config, step = session.state, session.config, session.state.progress.step
    if health:
        health.begin(windows)
    seed_step(config.training.seed, step)
    if not state.model.training:  # a walk through all modules, which changes nothing after the first step
        state.model.train()
    check_ids(windows, config.model.vocab_size, step + 1)
    replay = config.training.replay_every and (step + 1) % config.training.replay_every == 0
    settings = StepSettings(
        factor=session.factor(step),
        micro_batch=session.micro_batch * n_pieces,
        grad_clip=config.optimizer.grad_clip,
        precision=session.precision,
        judge=partial(out_of_line, session),
        reseed=partial(seed_step, config.training.seed, step) if replay else None,
    )
    return train_step(state.model, state.optimizer, session.objective, windows, settings, health)


def check_state(session: Session) -> None:
    """Raises TrainingError when a weight is not finite, or every MOMENTS_EVERY steps a moment of the optimizer."""
    state, step = session.state, session.state.progress.step
    back = way_back(session.run)
    learning = {name: one for name, one in state.optimizer.parameters.items() if one.requires_grad}
    check_sound(learning, "weights", step, back)
    if step % MOMENTS_EVERY == 0:
        check_sound(state.optimizer.state(), "moments of the optimizer", step, back)


def _count_skipped(session: Session, windows: Windows, result: StepResult) -> None:
    """Keeps the batch of a step that moved nothing, says why, and ends a run that is lost."""
    progress, config = session.state.progress, session.config
    finite = bool(result.excess)
    progress.bad_in_row = 0 if finite else progress.bad_in_row + 1
    progress.n_skipped += 1
    first = progress.samples - config.batch_windows
    path = session.patient(
        lambda: keep_skipped(session.run.skipped, progress.step, first, windows, result, session.tokenizer)
    )
    kept = f"its batch is in {path}" if path else f"{MOST_KEPT} such batches are in {session.run.skipped} already"
    why = f"is a spike ({in_words(result.excess)})" if result.excess else "gave a non-finite loss or gradient"
    if result.ranks:
        why += f", first on rank {', '.join(map(str, result.ranks))}"
    rewinds = result.excess and config.training.on_spike == "rewind" and progress.last_due is not None
    if not rewinds:
        said = f"step {progress.step} {why} and was skipped; {kept}"
        session.note(said, loss=str(result.loss), grad_norm=str(result.grad_norm))
    if not finite:
        stop_when_lost(progress.bad_in_row, config.training.bad_steps, progress.step, kept)
