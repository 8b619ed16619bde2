"""A tracker beside a training: in a process of its own, which may fail or hang as it likes.

The run folder is the only wire. The trainer neither waits for the tracker nor hears from it; a package that is slow to
import, starts threads or ends the whole process does so elsewhere.
"""

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from chainrule.log.trackers import check_tracker
from chainrule.run import RunFolder

# How long a tracker may take to tell the rest when the training is over.
END_SECONDS = 60.0


@contextmanager
def logged_beside(run: RunFolder, trackers: tuple[str, ...], say: Callable[[str], None]) -> Iterator[None]:
    """Inside the block each of `trackers` follows the run; raises ConfigError, MissingPackageError before anything.

    What goes wrong with one is told by `say`, once, at the end; the training knows nothing of it.
    """
    for name in trackers:
        check_tracker(name)
    started = [_Beside(name, run.path) for name in trackers]
    try:
        yield
    finally:
        for one in started:
            if said := one.end():
                say(said)


class _Beside:
    """One of them, from its begin to its end."""

    def __init__(self, name: str, path: Path) -> None:
        self._name, self._path = name, path
        # A file and no pipe, which a package that says much would fill, and then wait for somebody to read it.
        self._said = tempfile.TemporaryFile("w+b")  # noqa: SIM115  # closed where the training ends
        # It knows that the training is over by the end of its standard input, however that ends.
        # -P: a file of the current folder that is named like a module is not imported in its place.
        command = [sys.executable, "-P", "-m", "chainrule", "log", str(path.absolute()), "--to", name, "--beside"]
        seen = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
        self._process = subprocess.Popen(  # noqa: S603  # our own command, and a path that the person gave
            command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=self._said, env=seen
        )

    def end(self) -> str | None:
        """Lets it tell the rest; a sentence where that went wrong."""
        again = f"tell it later: chainrule log {self._path} --to {self._name}"
        with self._said:
            try:
                self._process.communicate(timeout=END_SECONDS)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.communicate()
                return f"{self._name} has not ended within {END_SECONDS:.0f} seconds, and was left; {again}"
            if not self._process.returncode:
                return None
            self._said.seek(0)
            lines = self._said.read().decode("utf-8", "replace").strip().splitlines() or ["it said nothing"]
        why = lines[-1].removeprefix("chainrule: ")
        return f"{self._name} has failed, and the training has not: {why}; {again}"
