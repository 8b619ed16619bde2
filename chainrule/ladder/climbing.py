"""`chainrule ladder` in Python: the text once, the rungs from the smallest up, the prediction, then the top."""

import json
import math
import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from chainrule.base import ChainruleError, ConfigError, Interrupted, RunError, write_json
from chainrule.config import Layer, fork_of
from chainrule.data import run_dataset
from chainrule.ladder.outcome import Climb, Climbed, Prediction, fitted_to, foretold
from chainrule.ladder.rungs import Rung, rungs_below, top_rung
from chainrule.run import Record, RunFolder, append_row, read_rows, read_summary, run_lock
from chainrule.train import Watch, silent
from chainrule.tune import Search, Tell, TuneFolder, asked, prepare_search, read_state, short_training, write_state

DEFAULT_MINUTES, DEFAULT_TIMES, DEFAULT_RUNGS = 60.0, 20.0, 5
# Of the time for the top; what is left is for the rungs, which are slower for their size, and for preparing.
TOP_SHARE = 0.7
LEAST_RUNGS = 3
# Held-out tokens that each is scored on, as a share of those that the top learns from, and at least so many windows.
SCORED_SHARE, LEAST_WINDOWS = 0.05, 128


@dataclass(frozen=True)
class Asked(Record):
    """ladder.json while nothing is foretold yet: how a ladder is built."""

    times: float
    n_rungs: int
    unique_tokens: float | None = None
    prediction: Prediction | None = None


class LadderFolder(TuneFolder):
    """The folder of a ladder: settings and runs lie as those of a search do."""

    @property
    def ladder(self) -> Path:
        """How it is built, and what was foretold."""
        return self.path / "ladder.json"

    @property
    def rungs(self) -> Path:
        """Each rung that was trained, JSON lines."""
        return self.path / "rungs.jsonl"

    @property
    def page(self) -> Path:
        """The picture and the table."""
        return self.path / "ladder.html"

    def climbs(self) -> list[Climb]:
        """Those that are done, in their order."""
        found = (Climb.of(row) for row in read_rows(self.rungs))
        return [one for one in found if one is not None]


def climb(
    layers: Sequence[Layer],
    path: Path,
    *,
    minutes: float = DEFAULT_MINUTES,
    times: float = DEFAULT_TIMES,
    n_rungs: int = DEFAULT_RUNGS,
    watch: Watch = silent,
    tell: Tell = lambda sentence: None,
) -> Climbed:
    """Trains `n_rungs` small models on the text that the layers name, foretells a larger one, trains it and compares.

    The top is what `pretrain` would choose for seven tenths of `minutes`, unless the layers give its shape; the largest
    rung has `times` less computation. A signal keeps what is done, and the status is then "interrupted". Raises
    ConfigError for a ladder that tells nothing, and what `pretrain` raises.
    """
    _check(layers, minutes, times, n_rungs)
    folder = LadderFolder(path)
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    with run_lock(RunFolder(path)):
        try:
            write_state(folder, asked(layers, minutes, TOP_SHARE * minutes))
            write_json(folder.ladder, Asked(times, n_rungs).row())
            return _climbed(_search(folder, watch, tell))
        except BaseException as fault:
            refused = isinstance(fault, ChainruleError) and not isinstance(fault, Interrupted) and not folder.climbs()
            if refused or not folder.base.is_file():
                shutil.rmtree(path, ignore_errors=True)
            raise


def resume_climb(path: Path, *, watch: Watch = silent, tell: Tell = lambda sentence: None) -> Climbed:
    """Goes on with a ladder: rungs that are done are kept."""
    folder = LadderFolder(path)
    _asked(folder)
    with run_lock(RunFolder(path)):
        return _climbed(_search(folder, watch, tell))


def _search(folder: LadderFolder, watch: Watch, tell: Tell) -> Search:
    # A ladder has no time at which it drops a run: its last one is the largest.
    return Search(folder, watch, tell, time.perf_counter(), math.inf)


def _check(layers: Sequence[Layer], minutes: float, times: float, n_rungs: int) -> None:
    if not 0 < minutes < math.inf:
        raise ConfigError(f"minutes={minutes:g} is no time to train in; give a positive number such as 60")
    if not 2 <= times <= 10_000:
        raise ConfigError(f"times={times:g} tells nothing of a larger model; use 2 to 10,000, such as 20")
    if not LEAST_RUNGS <= n_rungs <= 12:
        raise ConfigError(f"rungs={n_rungs} tell no law; use {LEAST_RUNGS} to 12, such as 5")
    if fork_of(layers) or any("start_from" in layer.values.get("origin", {}) for layer in layers):
        raise ConfigError("a ladder is of models that begin from nothing; leave out --from and --fork")


def _asked(folder: LadderFolder) -> Asked:
    if not folder.ladder.is_file():
        raise RunError(f"{folder.path} holds no ladder to go on with: it has no {folder.ladder.name}")
    try:
        found = Asked.of(json.loads(folder.ladder.read_bytes()))
    except ValueError:
        found = None
    if found is None:
        raise RunError(f"{folder.ladder} is damaged; begin again under another name: chainrule ladder TEXT --name NAME")
    return found


def _climbed(search: Search) -> Climbed:
    folder = search.folder
    assert isinstance(folder, LadderFolder)
    status, signal = "finished", None
    try:
        if not folder.base.is_file():
            prepare_search(search, read_state(folder))
        _train_all(search, folder)
    except Interrupted as fault:
        if not folder.base.is_file():
            raise
        status, signal = "interrupted", fault.signal_number
    return _outcome(folder, status, signal)


def _train_all(search: Search, folder: LadderFolder) -> None:
    """The rungs that are missing, the prediction, and the top."""
    config, asked_for = folder.default_config(), _asked(folder)
    top = top_rung(config)
    below = rungs_below(config, asked_for.times, asked_for.n_rungs)
    search.tell(
        f"{len(below)} small models of {below[0].compute:.1e} to {max(one.compute for one in below):.1e} operations, "
        f"then one of {top.compute:.1e}"
    )
    unique = [_trained(search, folder, rung) for rung in below][-1]
    climbs = [one for one in folder.climbs() if one.rung.name != top.name]
    if asked_for.prediction is None:
        told = foretold(fitted_to(climbs, unique), top, unique)
        made = Prediction(told.value, told.low, told.high, time.strftime("%F %T"))
        write_json(folder.ladder, Asked(asked_for.times, asked_for.n_rungs, unique, made).row())
        search.tell(f"foretold for the top: {told.value:.4f} bits per byte ({told.low:.4f} to {told.high:.4f})")
    _trained(search, folder, top)


def _trained(search: Search, folder: LadderFolder, rung: Rung) -> float:
    """Trains a rung, where it is not done, and writes its figure down; returns the tokens of the text."""
    run, config = folder.run(rung.name), folder.default_config()
    if all(one.rung.name != rung.name for one in folder.climbs()):
        began = time.perf_counter()
        search.tell(f"{rung.name}: {rung.weights:,.0f} weights, {rung.tokens:,} tokens in {rung.steps:,} steps")
        window = config.model.context_length
        scored = max(round(SCORED_SHARE * top_rung(config).tokens), LEAST_WINDOWS * window)
        over = rung.values(config)
        over["training"] |= {"log_every": max(1, rung.steps // 100)}
        summary = read_summary(run)
        if summary.status != "finished":
            summary = short_training(search, run, over, scored_tokens=scored, seconds=math.inf)
        assert summary.val_bits_per_byte is not None
        done = Climb(rung, summary.val_bits_per_byte, round(time.perf_counter() - began, 1))
        append_row(folder.rungs, done.row())
        search.tell(f"{rung.name}: {done.bits:.4f} bits per byte (one run, {done.seconds:.0f} s)")
        if rung.name != "top":
            shutil.rmtree(run.checkpoints, ignore_errors=True)
    return float(run_dataset(run).split("train").n_tokens)


def _outcome(folder: LadderFolder, status: str, signal: int | None) -> Climbed:
    config, asked_for, done = folder.default_config(), _asked(folder), folder.climbs()
    top = top_rung(config)
    climbs = tuple(one for one in done if one.rung.name != top.name)
    unique = asked_for.unique_tokens or math.inf
    fitted = fitted_to(climbs, unique) if asked_for.prediction is not None else None
    measured = next((one for one in done if one.rung.name == top.name), None)
    return Climbed(folder.path, unique, climbs, top, fitted, asked_for.prediction, measured, status, signal)
