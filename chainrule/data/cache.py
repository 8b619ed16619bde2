"""Prepared text that many runs share, in the user's cache folder; keyed by what it was made from.

::

    ~/.cache/chainrule/
      survey-KEY/       tables of all documents: files with their sizes and times, and how they are read
      tokenizer-KEY/    tokenizer.json: the survey, and what the vocabulary was asked to be
      shards-KEY/       token shards: the survey and the tokenizer
      .KIND-KEY.lock    held while one process works in the folder; the others wait for it

A run has hard links to its shards (copies on another file system), so it can be moved, and an entry can be removed
without asking it.
"""

import json
import os
import re
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from chainrule.base import (
    ConfigError,
    DiskError,
    disk_faults,
    folder_bytes,
    sha256_of_file,
    temporary_name,
    user_cache,
    write_json,
)
from chainrule.run import turn_lock

NAME = re.compile(r"(survey|tokenizer|shards)-[0-9a-f]{24}")
# Half of an entry that is being removed; those of older versions as well.
STUMP = re.compile(r"\.(gone-)?(survey|tokenizer|shards)-[0-9a-f]{24}(\.tmp)?-\d+")
ABOUT = "about.json"
# Seconds since 1970 at the end of the year 9999, beyond which no calendar goes.
LATEST = 253402300800
DAY = 86_400


@dataclass(frozen=True)
class CacheEntry:
    """One thing that was prepared."""

    path: Path
    kind: str
    text: tuple[str, ...]
    """What the user named."""
    used: float
    """Seconds since 1970: when it was last taken."""
    n_bytes: int
    freed_bytes: int
    """What its removal gives back: not what runs have links to."""
    runs: tuple[str, ...]
    """The runs that took it and are still there."""

    def row(self) -> dict[str, Any]:
        """By name, for JSON; the time as the clock here shows it."""
        return {
            "name": self.path.name,
            "kind": self.kind,
            "text": list(self.text),
            "used": time.strftime("%Y-%m-%dT%H:%M:%S", time.localtime(self.used)),
            "bytes": self.n_bytes,
            "freed_bytes": self.freed_bytes,
            "runs": list(self.runs),
        }


@dataclass(frozen=True)
class Cache:
    """A folder of prepared text; it need not exist."""

    folder: Path

    def entry(self, kind: str, key: str) -> Path:
        """Where the thing of this kind with this key is, or would be."""
        return self.folder / f"{kind}-{key[:24]}"

    @contextmanager
    def turn(self, kind: str, key: str, on_wait: Callable[[], None]) -> Iterator[Path]:
        """The entry's folder, made when it is not there, while no other process works in it.

        `on_wait` is called twice a second while one does. Raises DiskError when the folder cannot be written.
        """
        place = self.entry(kind, key)
        if self.folder.exists() and not self.folder.is_dir():
            raise DiskError(f"{self.folder}: is a file, and the cache is a folder; name another by machine.cache")
        with ExitStack() as stack:
            with disk_faults(place, "creating"):
                # What people write is theirs alone to read, wherever it is kept.
                self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
                stack.enter_context(turn_lock(self._lock(place), on_wait))
                place.mkdir(mode=0o700, exist_ok=True)
            yield place

    def note(self, place: Path, text: Sequence[str], run: Path | None = None, **more: Any) -> None:
        """Records that the entry was taken now: for which text, by which run."""
        before = about(place)
        runs = {*before.get("runs", []), *([str(run.absolute())] if run else [])}
        known = {**before, "text": list(text), "used": time.time(), "runs": sorted(runs), **more}
        write_json(place / ABOUT, known)

    def entries(self) -> list[CacheEntry]:
        """All entries, the largest first."""
        if not self.folder.is_dir():
            return []
        found = [_entry(path) for path in sorted(self.folder.iterdir()) if NAME.fullmatch(path.name)]
        return sorted(found, key=lambda entry: -entry.n_bytes)

    def clean(self) -> None:
        """Takes away what a killed removal left of its entry."""
        for path in self.folder.iterdir() if self.folder.is_dir() else ():
            if STUMP.fullmatch(path.name):
                shutil.rmtree(path, ignore_errors=True)

    def remove(self, entry: CacheEntry) -> bool:
        """Removes the entry; False, with nothing done, when a process works in it now."""
        doomed = temporary_name(entry.path)

        def busy() -> None:
            raise TimeoutError

        try:
            with turn_lock(self._lock(entry.path), busy), disk_faults(entry.path, "removing"):
                # Renamed first: nobody finds half of it.
                entry.path.rename(doomed)
        except TimeoutError:
            return False
        with disk_faults(doomed, "removing"):
            shutil.rmtree(doomed)
        # The empty lock file stays: who waits for it would hold another lock than who comes later.
        return True

    def prune(self, names: Sequence[str] = (), days: float = 0.0) -> tuple[list[CacheEntry], list[CacheEntry]]:
        """Removes what was not used for so many days; with `names` only entries whose names begin so.

        Returns what was removed, and what another process works in and was left. Raises ConfigError for a name that
        no entry begins with.
        """
        entries = self.entries()
        unknown = [name for name in names if not any(entry.path.name.startswith(name) for entry in entries)]
        if unknown:
            raise ConfigError(f"{unknown[0]!r} is not in {self.folder}; `chainrule cache` lists what is")
        self.clean()
        oldest = time.time() - days * DAY
        wanted = [entry for entry in entries if not names or entry.path.name.startswith(tuple(names))]
        removed, busy = list[CacheEntry](), list[CacheEntry]()
        for entry in wanted:
            if entry.used <= oldest:
                (removed if Cache(entry.path.parent).remove(entry) else busy).append(entry)
        return removed, busy

    def _lock(self, place: Path) -> Path:
        return self.folder / f".{place.name}.lock"


def find_cache(setting: str) -> Cache | None:
    """The cache that machine.cache names: "auto" is the user's cache folder, "off" none, else a folder."""
    if setting == "off":
        return None
    if setting != "auto":
        return Cache(Path(setting).expanduser().absolute())
    return Cache(user_cache())


def open_cache(setting: str) -> Cache:
    """The same cache; raises ConfigError for "off"."""
    found = find_cache(setting)
    if found is None:
        raise ConfigError(f"{setting} is no cache; leave it out, or name a folder")
    if found.folder.is_file():
        raise ConfigError(f"{found.folder} is a file and no cache; leave it out, or name a folder")
    return found


def about(place: Path) -> dict[str, Any]:
    """What is recorded of an entry; empty when nothing is, or nothing that can be read."""
    try:
        known = json.loads((place / ABOUT).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return {key: value for key, value in known.items() if _is_sound(key, value)} if isinstance(known, dict) else {}


def _is_sound(key: str, value: Any) -> bool:
    if key in ("text", "runs"):
        return isinstance(value, list) and all(isinstance(one, str) for one in value)
    return isinstance(value, int | float) and 0 < value < LATEST if key == "used" else True


def kept_file(place: Path, name: str) -> Path | None:
    """A small file of the entry, when it is there as it was recorded (by its SHA-256)."""
    path = place / name
    try:
        return path if sha256_of_file(path) == about(place).get("sha256") else None
    except OSError:
        return None


def _entry(path: Path) -> CacheEntry:
    known = about(path)
    own = sum(state.st_size for state in _states(path) if state.st_nlink == 1)
    runs = tuple(run for run in known.get("runs", []) if Path(run).is_dir())
    used = float(known.get("used") or path.stat().st_mtime)
    kind = path.name.partition("-")[0]
    return CacheEntry(path, kind, tuple(known.get("text", [])), used, folder_bytes(path), own, runs)


def _states(path: Path) -> list[os.stat_result]:
    try:
        return [file.stat() for file in path.rglob("*") if file.is_file()]
    except OSError as fault:
        raise DiskError(f"{path}: cannot be read ({fault.strerror})") from fault
