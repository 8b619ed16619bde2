"""`chainrule tune` in Python: from a text and a time to settings that were measured to be better, or to the default."""

import math
import shutil
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from chainrule.base import ChainruleError, ConfigError, Interrupted, TrainingError
from chainrule.config import Layer, fork_of
from chainrule.run import RunFolder, read_summary, run_lock
from chainrule.train import Watch, silent
from chainrule.tune.noise import measure_noise
from chainrule.tune.outcome import Tuned, outcome_of, setting_text, trial_text
from chainrule.tune.planning import plan_search, prepare_search, worthwhile_batches
from chainrule.tune.state import NoiseFigures, State, TuneFolder, asked, default_of, read_state, values_of, write_state
from chainrule.tune.trainings import OutOfTimeError, Search, Tell, short_training
from chainrule.tune.trials import SEARCH_SEED, Bounds, Setting, Trial, next_trial

DEFAULT_MINUTES, DEFAULT_TARGET = 20.0, 15.0


def tune(
    layers: Sequence[Layer],
    path: Path,
    *,
    minutes: float = DEFAULT_MINUTES,
    target_minutes: float | None = None,
    watch: Watch = silent,
    tell: Tell = lambda sentence: None,
    begun: float | None = None,
) -> Tuned:
    """Looks for a better learning rate and batch for runs of `target_minutes` (15) on the text that the layers name.

    A range test, a noise scale, and short trainings with the real schedule, all of them kept in the folder `path`, take
    `minutes` together, counted from `begun` (a time.perf_counter()). What is chosen is better than the default in seeds
    that had no part in choosing it, by more than their noise; else it is the default. A signal keeps what is done, and
    the status is then "interrupted". Raises ConfigError for settings that leave nothing to look for and for too little
    time, and what `pretrain` raises.
    """
    begun = time.perf_counter() if begun is None else begun
    _check(layers, minutes)
    folder = TuneFolder(path)
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    state = asked(layers, minutes, DEFAULT_TARGET if target_minutes is None else target_minutes)
    with run_lock(RunFolder(path)):
        try:
            return _searched(Search(folder, watch, tell, begun, minutes), state)
        except BaseException as fault:
            # What was prepared lies in the cache; a search without a figure is no search.
            refused = isinstance(fault, ChainruleError) and not isinstance(fault, Interrupted) and not folder.trials()
            if refused or not folder.base.is_file():
                shutil.rmtree(path, ignore_errors=True)
            raise


def resume_tune(
    path: Path,
    *,
    minutes: float | None = None,
    watch: Watch = silent,
    tell: Tell = lambda sentence: None,
    begun: float | None = None,
) -> Tuned:
    """Goes on with a search: trials that are done are kept. `minutes` are those from now on.

    Without them it has what is left of the time that was asked for.
    """
    begun = time.perf_counter() if begun is None else begun
    folder = TuneFolder(path)
    state = read_state(folder)
    if minutes is None:
        minutes = max(0.0, state.minutes - state.spent_seconds / 60)
    elif not 0 < minutes < math.inf:
        raise ConfigError(f"minutes={minutes:g} is no time to look in; give a positive number such as 20")
    with run_lock(RunFolder(path)):
        return _searched(Search(folder, watch, tell, begun, minutes), state)


def _searched(search: Search, state: State) -> Tuned:
    folder, status, signal = search.folder, "finished", None
    try:
        if not folder.base.is_file():
            prepare_search(search, state)
            state = write_state(folder, state)
        default = default_of(folder.default_config())
        if state.bounds is None:
            state = plan_search(search, state)
        while (trial := _next(search, state, default)) is not None:
            _tried(search, state, trial, default)
            if folder.trials() and not state.noise_is_known:
                state = _with_noise(search, state, default)
    except Interrupted as fault:
        if not folder.base.is_file():
            raise
        status, signal = "interrupted", fault.signal_number
    state = write_state(folder, replace(state, spent_seconds=round(state.spent_seconds + search.spent, 1)))
    return outcome_of(folder, state, status, signal)


def _check(layers: Sequence[Layer], minutes: float) -> None:
    if not 0 < minutes < math.inf:
        raise ConfigError(f"minutes={minutes:g} is no time to look in; give a positive number such as 20")
    given = {f"{name}.{key}" for layer in layers for name, values in layer.values.items() for key in values}
    if "training.steps" in given:
        raise ConfigError("training.steps is chosen by the search, from --minutes; leave it out")
    if fork_of(layers) or "origin.start_from" in given:
        raise ConfigError("the search is for runs from nothing; leave out --from and --fork")


def _next(search: Search, state: State, default: Setting) -> Trial | None:
    assert state.bounds is not None
    done = search.folder.trials()
    times = [one.seconds for one in done] or [state.trial_seconds or 0.0]
    n_left = int(search.left / max(sum(times) / len(times), 1e-3))
    return next_trial(default, done, state.bounds, n_left)


def _tried(search: Search, state: State, trial: Trial, default: Setting) -> None:
    """Makes one trial and writes it into the log; one for which the time was too short is left out of it."""
    folder, config = search.folder, search.folder.default_config()
    steps = max(1, round((state.steps or 1) * default.batch_tokens / trial.setting.batch_tokens))
    over = values_of(config, trial.setting)
    over["training"] |= {"steps": steps, "seed": trial.seed, "log_every": max(1, steps // 100)}
    began, run, bits = time.perf_counter(), folder.run(trial.name), None
    search.tell(f"trial {len(folder.trials()) + 1}: {setting_text(trial.setting, default)}, seed {trial.seed}")
    try:
        summary = read_summary(run)
        if summary.status != "finished":
            summary = short_training(search, run, over, scored_tokens=state.scored_tokens, seconds=search.left)
        bits = summary.val_bits_per_byte
    except OutOfTimeError:
        search.tell("the time is over before it is done; it is not counted")
        return
    except TrainingError as fault:
        search.tell(f"it diverged: {fault}")
    if trial.setting != default or trial.seed != SEARCH_SEED:
        # Of the default's first the noise scale is measured; the others are there for their figure.
        shutil.rmtree(run.checkpoints, ignore_errors=True)
    kept = replace(trial, bits=bits, seconds=round(time.perf_counter() - began, 2), steps=steps)
    folder.keep(kept)
    search.tell(trial_text(kept, default, folder.trials()))


def _with_noise(search: Search, state: State, default: Setting) -> State:
    """After the first trial: the noise scale of its model, and which batches are worth a trial."""
    folder, config = search.folder, search.folder.default_config()
    run = folder.run(Trial(default, SEARCH_SEED).name)
    noise = measure_noise(run) if run.checkpoints.is_dir() else None
    shutil.rmtree(run.checkpoints, ignore_errors=True)
    bounds = state.bounds or Bounds()
    if noise is None:
        search.tell("noise scale: the gradients do not tell one")
        batches: tuple[int, ...] = ()
    else:
        known = noise.low is not None and noise.high is not None
        ends = f"95 % interval {noise.low:,.0f} to {noise.high:,.0f}" if known else "its groups tell no interval"
        search.tell(
            f"noise scale: {noise.tokens:,.0f} tokens ({ends}); the default's batch has {default.batch_tokens:,}"
        )
        batches = worthwhile_batches(default.batch_tokens, noise.tokens, config.model.context_length)
    figures = None if noise is None else NoiseFigures(noise.tokens, noise.low, noise.high)
    return write_state(
        folder, replace(state, bounds=replace(bounds, batches=batches), noise=figures, noise_is_known=True)
    )
