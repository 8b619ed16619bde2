"""Room on the disk: looked at before anything slow, and waited for when it is gone in the middle of a run."""

import errno
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, Self, TypeVar

from chainrule.base import DiskError, bytes_text, duration_text, most_file_bytes, require_room
from chainrule.checkpoint import steps_of
from chainrule.config import Config, Resolved
from chainrule.device import MachineFacts
from chainrule.plan import check_memory, checkpoint_bytes, checkpoints_to_come, memory_bytes
from chainrule.run import Event, RunFolder, resume_command
from chainrule.train.pace import Clock
from chainrule.train.stop import Stop
from chainrule.train.watch import Watch

Done = TypeVar("Done")
OnFull = Literal["wait", "stop"]
# What a person or another program can put right while the weights wait in memory.
PASSING = (
    *(errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.ENODEV, errno.ENXIO, errno.ESTALE, errno.ETIMEDOUT),
    errno.EHOSTDOWN,
    *(errno.EHOSTUNREACH, errno.ENOTCONN, errno.ECONNABORTED),
)
ASK_SECONDS = 0.5
# For a run that was asked to end and finds no room for its last checkpoint: who asked wants the machine back.
ENDING_SECONDS = 60.0


@dataclass(frozen=True)
class Home:
    """A run's folder, and the device that it was on when the run came to its first step."""

    run: RunFolder
    device: int

    @classmethod
    def of(cls, run: RunFolder) -> Self:
        """As it is now."""
        return cls(run, run.path.stat().st_dev)

    def check(self) -> None:
        """Raises DiskError where the folder is gone: what is written then would make another one, on another disk.

        It can come back with its disk, and cannot where somebody removed it; the error's cause tells these apart.
        """
        run = self.run
        if any(path.exists() for path in (run.config, run.machine, run.lock)):
            return
        there = next(folder for folder in (run.path, *run.path.absolute().parents) if folder.exists())
        if there.stat().st_dev == self.device:
            raise DiskError(f"{run.path} is gone: the folder was removed or renamed.") from OSError(errno.ENOENT, "")
        raise DiskError(f"{run.path} is gone: its disk is no longer mounted.") from OSError(errno.ENODEV, "")


def check_early(run: RunFolder, given: Resolved, facts: MachineFacts) -> None:
    """Memory and room before the text is read, as far as the settings tell: no run is refused that would have fitted.

    A shape that is chosen by the text needs at least the spare room; a vocabulary that is learnt may come out small.
    Raises DeviceError for a model that is too large for the memory, DiskError for checkpoints that are for the disk.
    """
    chosen = _is_automatic(given, "model.emb_dim")
    shape = given.config.model
    if given.config.vocabulary.kind in ("bpe", "chars") and given.config.origin.start_from is None:
        shape = shape.model_copy(update={"vocab_size": 1})
    training = given.config.training
    if _is_automatic(given, "training.steps") != _is_automatic(given, "training.save_every"):
        training = training.model_copy(update={"steps": 1})
    config = given.config.model_copy(update={"model": shape, "training": training})
    if not chosen:
        check_memory(config, facts.planned, facts.precision)
    check_room(run, config, count=0 if chosen else None)


def check_room(
    run: RunFolder, config: Config, *, count: int | None = None, learning: int | None = None, beside: int = 0
) -> None:
    """Raises DiskError unless the disk of `run` has room for all checkpoints that it will hold at once.

    `count` is that of those that are still to come; by default what the settings and the folder say. `learning` is how
    many numbers learn, where that is not all; `beside` are bytes of other files that come first.
    """
    there = steps_of(run.checkpoints)
    if count is None:
        count = checkpoints_to_come(config.training, there)
        if not count:
            return
    copies = sum(path.stat().st_size for path in (run.config, run.tokenizer) if path.is_file())
    size = checkpoint_bytes(config, copies, learning)
    require_room(run.path, count * size + beside, *_purpose(config, count=count, size=size, there=there))
    need, most = memory_bytes(config, learning=learning), most_file_bytes()
    weights = need.weights if learning is None else 4 * learning
    if most is not None and count and max(weights, need.optimizer) > most:
        raise DiskError(
            f"a file may have at most {bytes_text(most)} here (`ulimit -f`), and the largest of a checkpoint has "
            f"{bytes_text(max(weights, need.optimizer))}; raise the limit, or use a smaller model"
        )


def patiently(
    write: Callable[[], Done],
    *,
    run: RunFolder,
    stop: Stop,
    watch: Watch,
    clock: Clock,
    on_full: OnFull = "wait",
    home: Home | None = None,
) -> Done:
    """What `write` returns, tried again while the disk refuses it for a reason that passes: weights are in memory only.

    It is said once. Waiting has no end but room, the next signal, and for a run that is ending already
    ENDING_SECONDS: then, and at once with "stop", DiskError is raised as it came. What was waited is no time of the
    run's: `clock` goes on from where it stood.
    """
    began: float | None = None
    signals, ending = stop.n_signals, bool(stop.requested)
    while True:
        try:
            done = write() if home is None else _at_home(write, home)
        except DiskError as fault:
            now = time.monotonic()
            if on_full == "stop" or not passes(fault):
                raise
            if began is None:
                began = now
                _say(watch, f"{fault} {_waiting(run, fault, ending=ending)}")
            elif stop.n_signals > signals or (ending and now - began >= ENDING_SECONDS):
                raise
            time.sleep(ASK_SECONDS)
        else:
            if began is not None:
                clock.leave_out(time.monotonic() - began)
                _say(watch, f"the disk takes it now, after {duration_text(time.monotonic() - began)}; the run goes on")
            return done


def _at_home(write: Callable[[], Done], home: Home) -> Done:
    home.check()
    try:
        return write()
    except FileNotFoundError:
        home.check()  # between the two it went
        raise


def passes(fault: DiskError) -> bool:
    """Whether waiting can help."""
    cause = fault.__cause__
    return isinstance(cause, OSError) and cause.errno in PASSING


def way_on(run: RunFolder) -> str:
    """What to do after a disk has ended a run."""
    steps = steps_of(run.checkpoints)
    place = f"goes on from step {steps[-1]}" if steps else "begins again at the first step: none was saved"
    return f"When the disk has room or is back, `{resume_command(run)}` {place}."


def _is_automatic(given: Resolved, key: str) -> bool:
    return given.sources.get(key, "automatic").startswith("automatic")


def _purpose(config: Config, *, count: int, size: int, there: Sequence[int]) -> tuple[str, str]:
    """What the room is for, and what to do where it is lacking."""
    elsewhere = "put the run on another disk by --runs-folder"
    if not count:
        return "any run", f"Free some, or {elsewhere}"
    kept = f"training.keep_last = {config.training.keep_last}, the best, and the next before one of them goes"
    more = f"{count} more" if there else f"{count}"
    where = "move the run's folder to another disk" if there else elsewhere
    smaller = "" if there else ", or take a smaller model"
    return (
        f"its checkpoints: {more} of {bytes_text(size)} at once ({kept})",
        f"Free some, {where}, lower --training.keep-last{smaller}",
    )


def _waiting(run: RunFolder, fault: DiskError, *, ending: bool) -> str:
    number = fault.__cause__.errno or 0 if isinstance(fault.__cause__, OSError) else 0
    length = f" {duration_text(ENDING_SECONDS)}" if ending else ""
    remedy = {
        errno.EROFS: f"make {run.path} writable again (mount -o remount,rw)",
        errno.ENODEV: f"bring the disk of {run.path} back",
    }.get(number, f"make room on the disk of {run.path}")
    return (
        f"The run waits{length} for it, because its weights are in memory alone: {remedy} and it goes on by itself; "
        "Ctrl-C ends it without them"
    )


def _say(watch: Watch, message: str) -> None:
    watch(Event(message))
