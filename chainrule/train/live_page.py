"""The report while the run goes on: written at looks, as often as costs a hundredth of the time."""

import math
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from chainrule.base import ChainruleError
from chainrule.run import RunFolder, read_summary

Report = Callable[[RunFolder, float], Path]
"""Writes the page of a run, for which it may take so many seconds."""

# Of the run's time, at most; and a page that nobody can have read yet is not written again.
SHARE, LEAST_SECONDS = 0.01, 10.0


class LivePage:
    """The page of one run, which reloads itself in a browser until it says that the run is over."""

    def __init__(self, run: RunFolder, report: Report | None) -> None:
        self.report = report
        self._run = run
        self._due = -math.inf

    def refresh(self) -> None:
        """Writes the page when it is time for it."""
        began = time.perf_counter()
        if self.report is None or began < self._due:
            return
        self.report(self._run, 0.0)
        now = time.perf_counter()
        self._due = now + max(LEAST_SECONDS, (now - began) / SHARE)

    def close(self) -> None:
        """After a run that ended before its last step: the page says that it goes on, and would be loaded for ever."""
        if self.report is not None and self._due > 0 and read_summary(self._run).status != "finished":
            # Whatever ended the run is on its way to the person, and must come there.
            with suppress(ChainruleError, OSError):
                self.report(self._run, 0.0)
