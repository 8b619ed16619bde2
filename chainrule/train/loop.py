"""The training loop."""

import time

from chainrule.base import Interrupted
from chainrule.plan import flops_per_token
from chainrule.train.guard import keep_skipped, stop_when_lost
from chainrule.train.health import RunHealth
from chainrule.train.looks import look, save, where
from chainrule.train.session import Session
from chainrule.train.state import seed_step
from chainrule.train.step import StepResult, train_step


def train(session: Session) -> None:
    """Trains from where the state stands to the last step.

    A signal saves between two steps and raises Interrupted. A second Ctrl-C raises inside the step: nothing is saved
    then, because weights, optimizer and numbers belong together only between two steps, and the last checkpoint stays.
    """
    meter = Meter(session)
    health = RunHealth(session) if session.config.training.health_every else None
    with session.stop.deferred():
        while _another_step(session):
            try:
                meter.count(update(session, health))
            except Interrupted:
                with session.stop.held():
                    session.note("ended inside a step, without saving; a resume goes on from the last checkpoint")
                raise


def _another_step(session: Session) -> bool:
    """Looks at what is due between two steps, and whether a step follows; saves when a signal asks for the end."""
    progress = session.state.progress
    try:
        session.stop.obey()
        if progress.looked < progress.step:
            look(session)
        session.stop.obey()
    except Interrupted:
        with session.stop.held():
            save(session)
        raise
    return progress.step < session.config.training.steps


def update(session: Session, health: RunHealth | None = None) -> StepResult:
    """One step: the next windows, an update or a skip, and the numbers moved on."""
    progress, config = session.state.progress, session.config
    started = time.perf_counter()
    n_pieces = session.window_pieces(progress.step)
    windows = session.batches.windows(progress.samples, config.batch_windows).cut(n_pieces)
    if health:
        health.begin(windows)
    seed_step(config.training.seed, progress.step)
    session.state.model.train()
    result = train_step(
        session.state.model,
        session.state.optimizer,
        session.loss_function,
        windows,
        factor=session.factor(progress.step),
        micro_batch=session.micro_batch * n_pieces,
        grad_clip=config.optimizer.grad_clip,
        precision=session.precision,
        watcher=health,
    )
    progress.step += 1
    progress.samples += config.batch_windows
    if health:
        health.end()
    progress.seconds += time.perf_counter() - started
    progress.bad_in_row = 0 if result.applied else progress.bad_in_row + 1
    if not result.applied:
        progress.n_skipped += 1
        first = progress.samples - config.batch_windows
        kept = keep_skipped(session.run.skipped, progress.step, first, windows, result, session.tokenizer)
        session.note(
            f"step {progress.step} gave a non-finite loss or gradient and was skipped; its batch is in {kept.name}",
            loss=str(result.loss),
            grad_norm=str(result.grad_norm),
        )
        stop_when_lost(progress.bad_in_row, config.training.bad_steps, progress.step, kept)
    return result


class Meter:
    """Turns step results into rows of metrics: means since the last row, and the speed."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.flops_per_token = flops_per_token(session.config.model)
        self._empty()

    def count(self, result: StepResult) -> None:
        """Takes one step; writes a row when it is time for one."""
        self.results.append(result)
        progress, training = self.session.state.progress, self.session.config.training
        if progress.step % training.log_every and 1 < progress.step < training.steps:
            return
        seconds = progress.seconds - self.since
        tokens = len(self.results) * self.session.config.batch_windows * self.session.config.model.context_length
        speed = tokens / max(seconds, 1e-9)
        row = {
            **where(self.session),
            "loss": sum(one.loss for one in self.results) / len(self.results),
            "lr": self._rate(),
            "grad_norm": max(one.grad_norm for one in self.results),
            "tokens_per_second": round(speed, 1),
            "peak_share": round(speed * self.flops_per_token / self.session.facts.peak_flops, 4),
            "seconds_left": round((training.steps - progress.step) * seconds / len(self.results), 1),
        }
        self.session.write_row("train", row)
        self._empty()

    def _rate(self) -> float:
        config = self.session.config
        peak = config.optimizer.muon_lr if config.optimizer.kind == "muon" else config.optimizer.lr
        return peak * self.session.factor(self.session.state.progress.step - 1)

    def _empty(self) -> None:
        self.results: list[StepResult] = []
        self.since = self.session.state.progress.seconds
