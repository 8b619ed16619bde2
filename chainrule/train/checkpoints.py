"""The checkpoints of a run on its way: what goes into one, and when training waits for it."""

from chainrule.base import DiskError
from chainrule.checkpoint import prune_checkpoints
from chainrule.run import Saved, journal_ends, looked_back_on
from chainrule.train.guard import check_sound, way_back
from chainrule.train.mend import kept_files
from chainrule.train.saving import Draft, Written
from chainrule.train.session import Session, environment


def save(session: Session) -> None:
    """Writes a checkpoint; the newest and the best on held-out text stay, older ones go. It is there when this returns.

    One that is being written is waited for; when it is of this very step, that is the checkpoint.
    """
    if settle(session, wait=True) == session.state.progress.step:
        return
    _write(session, _draft(session))


def save_beside(session: Session) -> None:
    """The same while training goes on, where the run saves in the background; the save before is waited for."""
    settle(session, wait=True)
    if session.saver is None:
        _write(session, _draft(session))
    else:
        session.saver.start(_draft(session))


def settle(session: Session, *, wait: bool = False) -> int | None:
    """Takes note of the save in the background when it is done: the step of the checkpoint that is there now.

    What the disk refused is tried again from the same copy, while training waits as it does for any other save.
    """
    written = session.saver.settled(wait=wait) if session.saver else None
    if written is None:
        return None
    if written.fault is None:
        _tell(session, written)
        session.budget.pace.wrote(written.seconds)
    elif isinstance(written.fault, DiskError):
        session.note(f"step {written.draft.step} could not be saved while training went on: {written.fault}")
        _write(session, written.draft)
    else:
        raise written.fault
    return written.draft.step


def close_saver(session: Session) -> None:
    """Waits for the save in the background, if there is one; one that failed is said, and the one before stands."""
    if session.saver is None:
        return
    written = session.saver.settled(wait=True)
    session.saver.close()
    session.saver = None
    if written is not None and written.fault is None:
        _tell(session, written)
    elif written is not None:
        session.note(f"step {written.draft.step} could not be saved: {written.fault}")


def _write(session: Session, draft: Draft) -> None:
    path = session.patient(draft.write)
    session.watch(Saved(draft.step, str(path)))


def _tell(session: Session, written: Written) -> None:
    session.watch(Saved(written.draft.step, str(written.path)))


def gather(session: Session, *, optimizer: bool) -> None:
    """Where several processes train, brings the weights here as they are now, and the optimizer's state if wanted."""
    if session.team is not None:
        session.team.give(session.state, optimizer=optimizer)


def _draft(session: Session) -> Draft:
    gather(session, optimizer=True)
    run, training, progress = session.run, session.config.training, session.state.progress
    progress.spent = session.budget.clock.spent()
    facts = {
        "environment": environment(session.facts),
        "data": session.dataset.manifest.fingerprint,
        "old": None if session.old is None else session.old.manifest.fingerprint,
        "tokenizer": session.tokenizer.fingerprint,
        "journals": journal_ends(looked_back_on(run)),
    }
    tensors, state = session.state.contents(session.lesson.kept(session.state.model), facts)
    for stem, named in tensors.items():
        what = "moments of the optimizer" if stem == "optimizer" else "weights"
        check_sound(named, what, progress.step, way_back(run))
    keep = _kept(session)
    # Patiently: of a disk that is gone for the moment none would be found.
    copies = session.patient(lambda: tuple(kept_files(run)))
    return Draft(run.checkpoints, progress.step, tensors, state, copies, training.keep_last, tuple(keep), session.home)


def prune(session: Session) -> None:
    """Removes the checkpoints that are neither among the newest nor the best, nor gone back to when losses jump."""
    prune_checkpoints(session.run.checkpoints, session.config.training.keep_last, _kept(session))


def _kept(session: Session) -> tuple[int, ...]:
    progress = session.state.progress
    due = progress.last_due if session.config.training.on_spike == "rewind" else None
    return tuple(step for step in (progress.best_step, due) if step is not None)
