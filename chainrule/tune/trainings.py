"""One short training of a search, by the trainer's own loop: begun, or gone on with, and dropped when time is up."""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace

from chainrule.base import Interrupted
from chainrule.config import Layer, load_toml
from chainrule.run import Record, RunFolder, Summary, TrainRow
from chainrule.train import Session, Start, Watch, Way, again, anew, carried_out
from chainrule.tune.lesson import TrialLesson
from chainrule.tune.state import TuneFolder

Tell = Callable[[str], None]
"""Hears a sentence about what is being done."""
# Kept for writing the page.
LAST_SECONDS = 2.0


@dataclass(frozen=True)
class Search:
    """What the steps of a search work with; `begun` is the time.perf_counter() from which its minutes count."""

    folder: TuneFolder
    watch: Watch
    tell: Tell
    begun: float
    minutes: float

    @property
    def spent(self) -> float:
        """Seconds since the search, or this part of it, was begun."""
        return time.perf_counter() - self.begun

    @property
    def left(self) -> float:
        """Seconds that are left for trials."""
        return 60 * self.minutes - LAST_SECONDS - self.spent


class OutOfTimeError(Exception):
    """A trial would have gone beyond the time; it is dropped."""


def short_training(
    search: Search, run: RunFolder, over: dict[str, dict[str, object]], *, scored_tokens: int | None, seconds: float
) -> Summary:
    """A training of few steps with these settings; raises Interrupted, and OutOfTimeError after so many `seconds`."""
    began = time.perf_counter()
    steps = over["training"]["steps"]
    assert isinstance(steps, int)
    rare = {"eval_every": steps, "sample_every": steps, "save_every": max(1, steps // 4), "keep_last": 1}
    quiet = {**rare, "health_every": 0, "tasks": [], "eval_tokens": 1}
    layer = Layer("trial", {**over, "training": {**over["training"], **quiet}})
    layers, lesson = [load_toml(search.folder.base), layer], TrialLesson(scored_tokens)
    resume = run.config.is_file()

    def begin(start: Start) -> Session:
        taught = replace(start, lesson=lesson)
        return again(taught, [], None) if resume else anew(taught, layers, None)

    def watched(record: Record) -> None:
        search.watch(record)
        if isinstance(record, TrainRow) and time.perf_counter() - began > seconds:
            raise OutOfTimeError

    way = Way([] if resume else layers, begin, resume=resume)
    summary = carried_out(way, run, watch=watched, begun=began, report=None)
    if summary.status == "interrupted":
        raise Interrupted(summary.signal or 2)
    return summary
