"""Several processes train, go on, prune, export and read one run at once, and some are killed: a judged history.

Held: at most one writes, at each instant the newest checkpoint is whole and no older than what was said to be saved, no
reader meets half a file, and the run's end is that of a run that had the folder for itself.
"""

import importlib
import os
import re
import signal
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from proof.bench import Bench
from proof.case import Attempt, Case, NotHeldError, hold
from proof.child import Child, start
from proof.tiny import acknowledged, command_ok, fingerprint, hold_equal, hold_whole, new, no_traceback, resumed

STARTS, MOST_AT_ONCE = 40, 4
OVER = {"training__steps": "60", "training__save_every": "2"}
# What a process may be told when others were quicker; anything else that is refused is a fault.
REFUSALS = re.compile(
    r"is in use by|is there already|no checkpoint|stopped before its first save|no run|holds no run|is being trained|"
    r"not a run folder|nothing to free|finished already|is no(t)? .*run"
)


@dataclass
class Started:
    """A child of the history, what it does, and the file in which it says when it held the run."""

    child: Child
    what: str
    held: Path
    killed: float | None = None


def together(bench: Bench) -> Iterator[Case]:
    """Histories of forty starts, by the seed."""
    straight: dict[str, Mapping[str, str]] = {}

    def attempt(attempt: Attempt) -> str:
        if not straight:
            straight["run"] = fingerprint(bench.run_of("straight together", None, **OVER))
        return _history(bench, attempt, straight["run"])

    yield Case(f"{STARTS} starts on one folder, up to {MOST_AT_ONCE} at once", 12, attempt, quick=0, side_by_side=False)


def _history(bench: Bench, attempt: Attempt, straight: Mapping[str, str]) -> str:
    run, chance = attempt.folder / "run", attempt.chance
    alive, gone = list[Started](), list[Started]()
    saved = 0
    for number in range(STARTS):
        what = chance.choice(["train", "train", "train", "prune", "export", "generate", "evaluate", "report", "runs"])
        alive.append(_start(bench, attempt.folder, run, what, number))
        while alive and (len(alive) >= MOST_AT_ONCE or chance.random() < 0.3):
            if chance.random() < 0.25:
                one = chance.choice(alive)
                one.killed = time.monotonic()
                os.kill(one.child.pid, signal.SIGKILL)
            saved = _look(run, saved, [*alive, *gone])
            _reap(alive, gone, run)
            time.sleep(0.02)
    while alive:
        saved = _look(run, saved, [*alive, *gone])
        _reap(alive, gone, run)
        time.sleep(0.02)
    _hold_one_writer(gone)
    words = resumed(run) if (run / "config.toml").is_file() else new(bench.texts, run, **OVER)
    command_ok(words, attempt.folder)
    hold_equal(straight, run)
    n_killed = sum(one.killed is not None for one in gone)
    return f"equal ({'some' if n_killed else 'none'} killed)"


def _start(bench: Bench, place: Path, run: Path, what: str, number: int) -> Started:
    held = place / f"held-{number}"
    train = resumed(run) if (run / "config.toml").is_file() else new(bench.texts, run, **OVER)
    words = {
        "train": train,
        "prune": ["runs", "prune", str(run), "--yes"],
        "export": ["export", "hf", str(run), str(place / f"out-{number}")],
        "generate": ["generate", str(run), "the", "--max-new-tokens", "2"],
        "evaluate": ["evaluate", str(run)],
        "report": ["report", str(run)],
        "runs": ["runs", "--runs-folder", str(place), "--json"],
    }[what]
    return Started(start(words, place, before=_telling(held)), what, held)


def _telling(held: Path) -> Callable[[], None]:
    """For a child: writes when it begins and ends to train, which it may do under the run's lock alone."""
    pretraining = importlib.import_module("chainrule.train.pretraining")
    real = pretraining.train

    def train(session: object) -> None:
        with held.open("a") as stream:
            stream.write(f"{time.monotonic()}\n")
        try:
            real(session)
        finally:
            with held.open("a") as stream:
                stream.write(f"{time.monotonic()}\n")

    return lambda: setattr(pretraining, "train", train)


def _look(run: Path, saved: int, known: list[Started]) -> int:
    """Judges the folder as it is now; returns the newest step that was acknowledged before the look."""
    told = max((acknowledged(one.child.heard()) for one in known if one.what == "train"), default=0)
    saved = max(saved, told)
    if saved:
        hold_whole(run, saved)
    return saved


def _reap(alive: list[Started], gone: list[Started], run: Path) -> None:
    for one in list(alive):
        if os.waitid(os.P_PID, one.child.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
            continue
        ended = one.child.wait()
        no_traceback(ended)
        if not (ended.code == 0 or (ended.code == -9 and one.killed)):
            hold(ended.code in (1, 2) and REFUSALS.search(ended.said), f"{one.what}: {ended.last()}")
        alive.remove(one)
        gone.append(one)


def _hold_one_writer(gone: list[Started]) -> None:
    spans = []
    for one in gone:
        if one.held.is_file():
            times = [float(line) for line in one.held.read_text().split()]
            end = times[1] if len(times) > 1 else one.killed
            if end is None:
                raise NotHeldError(f"{one.what} neither ended its training nor was killed")
            spans.append((times[0], end))
    spans.sort()
    for (_, end), (begin, _) in pairwise(spans):
        hold(end <= begin, f"two processes trained at once, for {end - begin:.3f} s")
