"""The runs that are watched: those of the folders that were named, as they come and go."""

import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from chainrule.base import ChainruleError, RunError
from chainrule.dashboard.followed import Followed
from chainrule.run import RUNS, RunFolder, find_run, is_running, list_runs, read_manifest, read_summary
from chainrule.verdict import Overview, known_baselines, overview_or_name

# Looking which runs there are costs some file operations for each; pages ask every second, several at once.
LISTED_SECONDS = 0.7


class Library:
    """Run folders by name. What is not among them does not exist for who asks, whatever path a name spells."""

    def __init__(self, sources: Sequence[Path]) -> None:
        self._sources = tuple(sources)
        self._lock = threading.Lock()
        self._listed_at = -LISTED_SECONDS
        self._runs: dict[str, RunFolder] = {}
        self._followed: dict[str, Followed] = {}
        self._overviews: dict[str, tuple[object, Overview]] = {}
        self._measured: dict[str, tuple[object, dict[str, Any]]] = {}

    def runs(self) -> dict[str, RunFolder]:
        """The runs that are there now, by name; two of one name in different folders by their paths."""
        with self._lock:
            if time.monotonic() - self._listed_at >= LISTED_SECONDS:
                self._runs = _named(self._sources)
                self._listed_at = time.monotonic()
                for known in (self._followed, self._overviews, self._measured):
                    for gone in known.keys() - self._runs.keys():
                        known.pop(gone, None)
            return self._runs

    def followed(self, name: str) -> Followed | None:
        """What is known of a run, up to date when it is next asked; None for one that is not there."""
        run = self.runs().get(name)
        if run is None:
            return None
        with self._lock:
            return self._followed.setdefault(name, Followed(run))

    def listing(self) -> list[dict[str, Any]]:
        """Each run in a line, the newest first."""
        found = [(name, run, self._overview(name, run)) for name, run in self.runs().items()]
        lines = [
            {
                "id": name,
                "name": one.name,
                "status": one.status,
                "step": one.step,
                "steps": one.steps,
                "bits": one.val_bits_per_byte,
                "parameters": one.parameters,
                "bytes": one.disk_bytes,
                "begun": _modified(run.config),
                **self._text(name, run),
            }
            for name, run, one in found
        ]
        return sorted(lines, key=lambda line: (line["status"] != "running", -line["begun"], str(line["id"])))

    def _text(self, name: str, run: RunFolder) -> dict[str, Any]:
        """Which text it learns, and what needs no model on that: known for a run that has ended, and for its peers."""
        state = (_state(run.manifest), _state(run.summary))
        known = self._measured.get(name)
        if known is None or known[0] != state:
            found: dict[str, Any] = {"text": None, "baselines": {}}
            with suppress(ChainruleError, OSError):
                found = {
                    "text": read_manifest(run).fingerprint,
                    "baselines": known_baselines(read_summary(run).baselines),
                }
            known = self._measured[name] = (state, found)
        return known[1]

    def _overview(self, name: str, run: RunFolder) -> Overview:
        """Read anew only when one of its files has changed."""
        paths = (run.config, run.machine, run.metrics, run.summary, run.checkpoints)
        state = (is_running(run), *(_state(path) for path in paths))
        known = self._overviews.get(name)
        if known is None or known[0] != state:
            known = self._overviews[name] = (state, overview_or_name(run))
        return known[1]


def find_sources(names: Sequence[str], folder: Path = RUNS) -> list[Path]:
    """Folders of runs, and runs, by path or by name in `folder`; without any, `folder`, which may come later.

    Raises RunError, with the nearest name, for what is not there, and for a file.
    """
    return [_source(name, folder) for name in names] or [folder]


def _source(name: str, folder: Path) -> Path:
    path = Path(name)
    if path.is_file():
        raise RunError(f"{name} is a file; give a run, such as runs/NAME, or the folder that holds the runs")
    return path if path.is_dir() else find_run(name, folder).path


def _named(sources: Sequence[Path]) -> dict[str, RunFolder]:
    found: dict[Path, RunFolder] = {}
    for source in sources:
        own = RunFolder(source)
        for run in [own] if own.config.is_file() else list_runs(source):
            found.setdefault(run.path.absolute(), run)
    names = [run.name for run in found.values()]
    return {run.name if names.count(run.name) == 1 else str(run.path): run for run in found.values()}


def _state(path: Path) -> tuple[int, int] | None:
    try:
        state = path.stat()
    except OSError:
        return None
    return state.st_mtime_ns, state.st_size


def _modified(path: Path) -> float:
    state = _state(path)
    return state[0] / 1e9 if state else 0.0
