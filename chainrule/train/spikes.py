"""What a run does about a step that is far out of line: ends, passes over its batch, or goes back before it.

Whatever it does is a function of the state that a checkpoint holds, so that a resume does the same.
"""

import math

from chainrule.base import TrainingError
from chainrule.checkpoint import load_checkpoint, step_folder
from chainrule.health import Excess, sigma_excesses
from chainrule.run import OutOfLine, SpikeRow, resume_command
from chainrule.train.checkpoints import save, settle
from chainrule.train.replan import take_up_decisions
from chainrule.train.resume import cut_journals
from chainrule.train.session import Session
from chainrule.train.step import StepResult

# A third return to the same checkpoint met a spike again in other text: it is not the text, then.
MOST_RETURNS = 3


def out_of_line(session: Session, loss: float, grad_norm: float) -> tuple[Excess, ...]:
    """Whether this step is to be acted on: by how much its numbers exceed the steps before, where that is asked for."""
    training, progress = session.config.training, session.state.progress
    if training.on_spike == "tell":
        return ()
    return sigma_excesses(loss, grad_norm, progress.recent, training.spike_sigma, training.spike_window)


def remember(session: Session, result: StepResult) -> None:
    """Takes the step into the window by which the next ones are judged: a spike as well, or no new level would end."""
    training, progress = session.config.training, session.state.progress
    # JSON has no number for what is not finite, and a resume is to know what a straight run knows.
    if training.on_spike != "tell" and math.isfinite(result.loss) and math.isfinite(result.grad_norm):
        progress.recent = [*progress.recent, [result.loss, result.grad_norm]][-training.spike_window :]


def stop_at(session: Session, excess: tuple[Excess, ...]) -> None:
    """Saves the state before the step, and raises TrainingError."""
    progress, path = session.state.progress, session.run.path
    with session.stop.held():
        save(session)
    raise TrainingError(
        f"step {progress.step + 1} is a spike, and training.on_spike = stop: {in_words(excess)}. Its update was not "
        f"made, and step {progress.step}, before it, is saved. `chainrule lens spike {path}` says why; without its "
        f"batch: `chainrule pretrain --fork {path}@{progress.step} --training.on-spike skip`"
    )


def rewind(session: Session, result: StepResult) -> bool:
    """Goes back to the last checkpoint that was due, with the text behind this step; whether there was one.

    The weights, the optimizer and all numbers are those of the checkpoint, but for the place in the text: the batches
    from there up to this one are passed over (as PaLM's training did, arXiv 2204.02311). The journals go back with it.
    Raises TrainingError after MOST_RETURNS to the same checkpoint.
    """
    settle(session, wait=True)
    before = session.state.progress
    target = before.last_due
    if target is None:
        return False
    returns = sum(one[1] == target for one in before.rewinds)
    if returns >= MOST_RETURNS:
        raise TrainingError(
            f"step {before.step} is a spike ({in_words(result.excess)}), the {returns + 1}th after step {target}, each "
            f"in other text: it is not the text that makes them. Step {target} is intact. Try a lower optimizer.lr: "
            f"chainrule pretrain --fork {session.run.path}@{target} --optimizer.lr …; `{resume_command(session.run)}` "
            "would do the same again"
        )
    checkpoint = load_checkpoint(step_folder(session.run.checkpoints, target))
    session.lesson.restore(session.config, session.state.model, checkpoint)
    session.state.restore(checkpoint)
    if session.team is not None:
        session.team.take(session.state)
    progress = session.state.progress
    progress.samples = before.samples
    progress.rewinds = [*before.rewinds, [before.step, target, before.samples]]
    cut_journals(session.run, target, progress.looked, session.watch)
    take_up_decisions(session)
    what = tuple(OutOfLine(one.what, one.value, one.usual, one.score) for one in result.excess)
    session.append(session.run.health, SpikeRow(before.step, what, applied=False).row())
    session.note(
        f"step {before.step} is a spike ({in_words(result.excess)}): back to step {target}, and on with the text "
        f"behind it; {before.step - target} batches are passed over"
    )
    return True


def in_words(excess: tuple[Excess, ...]) -> str:
    """What was out of line, by how much."""
    return "; ".join(
        f"{one.what} {one.value:.4g}, {one.score:.1f} standard deviations above the mean of {one.usual:.4g}"
        for one in excess
    )
