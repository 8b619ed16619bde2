"""A run's folder from its first instant: held by one process, and gone again when its start came to nothing."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from chainrule.base import RunError, bytes_text, disk_faults, folder_bytes
from chainrule.config import Config
from chainrule.run import RunFolder, StartRecord, check_free, forget_start, read_start, resume_command, run_lock
from chainrule.train.session import write_event
from chainrule.train.watch import Watch

# A preparation that took longer is kept when the start fails: what was read need not be read again.
WORTH_KEEPING_SECONDS = 60.0
WORTH_KEEPING_BYTES = 64 * 2**20


@dataclass(frozen=True)
class Claim:
    """The run's folder, locked by this process; `begun` is the time.perf_counter() at which the run was asked for."""

    run: RunFolder
    watch: Watch
    begun: float

    def take_over(self, asked: StartRecord) -> None:
        """Makes room for the start that is `asked` for where an earlier one never came to its first step.

        What an equal start prepared is used; that of another is removed. Raises RunError when that would be much.
        """
        known = read_start(self.run)
        if (known.minutes, known.layers) == (asked.minutes, asked.layers):
            return
        size = folder_bytes(self.run.data)
        if size > WORTH_KEEPING_BYTES:
            raise RunError(
                f"{self.run.path} holds {bytes_text(size)} that another start prepared; go on with that by "
                f"`{resume_command(self.run)}`, give another --name, or delete the folder"
            )
        forget_start(self.run, lock=False)

    def give_up(self) -> None:
        """After a start that ended before its first step: keeps a long preparation and says so, else leaves nothing."""
        seconds = time.perf_counter() - self.begun
        if self.run.data.is_dir() and seconds >= WORTH_KEEPING_SECONDS:
            again = resume_command(self.run)
            write_event(
                self.run, self.watch, f"what was prepared in {seconds:.0f} s is kept; to go on with it: {again}"
            )
        else:
            # Windows removes no file that is open: there the lock stays, and its folder is free to be taken.
            forget_start(self.run, lock=sys.platform != "win32")


def let_read(run: RunFolder, config: Config) -> None:
    """Opens the run's folder to other users where `machine.readable_by` says so; it was made for its owner alone."""
    if config.machine.readable_by == "everyone":
        with disk_faults(run.path, "opening to everyone"):
            run.path.chmod(0o755)


@contextmanager
def claimed(run: RunFolder, watch: Watch, *, resume: bool, begun: float) -> Iterator[Claim]:
    """Holds the folder inside the block, made when it is to be a new run.

    Raises RunError when a run is in the way, when there is none to resume, or when another process holds it.
    """
    if resume and not run.config.is_file():
        raise RunError(
            f"{run.path} holds no run to resume: it has no config.toml. `chainrule runs` lists those there are"
        )
    if not resume:
        check_free(run.path)
        with disk_faults(run.path, "creating"):
            # A run holds its text: other users of the machine read it only where that was asked for.
            run.path.mkdir(mode=0o700, parents=True, exist_ok=True)
    with run_lock(run):
        if not resume:
            check_free(run.path)  # another process may have trained here before the lock was ours
        else:
            run.forking.unlink(missing_ok=True)  # a kill came after config.toml, which made the fork a run
        yield Claim(run, watch, begun)
