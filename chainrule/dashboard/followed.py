"""One run as it is followed, and what of it is new to a page."""

import secrets
import threading
from pathlib import Path
from typing import Any

from chainrule.dashboard.cursor import Cursor
from chainrule.dashboard.heading import heading
from chainrule.dashboard.journals import Journals
from chainrule.dashboard.thinning import Curve
from chainrule.run import RunFolder, held_bytes, is_running

BESIDE = ("loss",)


class Followed:
    """What is known of one run, and what a page that knows so much is told. Safe to be asked by several threads."""

    def __init__(self, run: RunFolder) -> None:
        self.run = run
        self._lock = threading.Lock()
        self._begin()

    def news(self, word: str, *, whole: bool) -> dict[str, Any]:
        """What a page with that cursor lacks; of a run that is only laid beside another, the curves of its loss.

        `reset` says that what the page has is void, `more` that much is left to be read: ask again at once.
        """
        with self._lock:
            if not self._journals.look():
                self._begin()
                self._journals.look()
            self._refresh()
            cursor = Cursor.of(word)
            if cursor is None or (cursor.epoch, cursor.whole) != (self._epoch, whole):
                cursor = Cursor(self._epoch, whole, -1, ((-1, 0),) * 3)
                word = ""
            return {"reset": not word, "more": self._journals.waiting, **self._since(cursor)}

    def _since(self, cursor: Cursor) -> dict[str, Any]:
        journals = self._journals
        train, held_out, samples = cursor.streams
        found: dict[str, Any] = {
            "train": _columns(journals.train, train, None if cursor.whole else BESIDE),
            "held_out": _columns(journals.held_out, held_out, None),
        }
        if cursor.head != self._version:
            found["head"] = self._head
        if cursor.whole:
            last = journals.train.last
            found["last"] = last.row() if last else None
            found["held_bytes"] = held_bytes(self.run)
            start = samples[1] if samples[0] == journals.samples_generation else 0
            found["samples"] = {"start": start, "rows": [one.row() for one in journals.samples[start:]]}
        said = (journals.samples_generation, len(journals.samples))
        curves = [(curve.together, curve.closed) for curve in (journals.train, journals.held_out)]
        return {**found, "cursor": str(Cursor(self._epoch, cursor.whole, self._version, (*curves, said)))}

    def _begin(self) -> None:
        """Nothing is known; whatever a page has is void."""
        self._epoch = secrets.token_hex(4)
        self._journals = Journals(self.run)
        self._state: object = None
        self._head: dict[str, Any] = {}
        self._version = 0

    def _refresh(self) -> None:
        """Judges anew when something is there to be judged: a look, a row of health, a file that has changed."""
        run = self.run
        files = (run.config, run.machine, run.summary, run.manifest, run.tuning, run.checkpoints)
        state = (is_running(run), self._journals.state, *map(_changed, files))
        if state != self._state:
            self._state, self._version = state, self._version + 1
            self._head = heading(run, self._journals)


def _columns(curve: Curve, known: tuple[int, int], names: tuple[str, ...] | None) -> dict[str, Any]:
    generation, closed = known
    return curve.since(closed if generation == curve.together else 0, names)


def _changed(path: Path) -> int | None:
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return None
