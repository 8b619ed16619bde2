"""What a search does first: the text prepared, the rates that are borne, and how many trials the time has room for."""

import math
import time
from contextlib import suppress
from dataclasses import replace

from chainrule.base import ConfigError, TrainingError, duration_text, require_room, write_bytes
from chainrule.config import Layer, to_toml
from chainrule.data import find_cache
from chainrule.plan import checkpoint_bytes
from chainrule.run import TrainRow, rows_of
from chainrule.train import prepare_text
from chainrule.tune.range_test import HIGHEST, STEPS, read_range_test
from chainrule.tune.state import State, default_of, values_of, write_state
from chainrule.tune.trainings import OutOfTimeError, Search, short_training
from chainrule.tune.trials import SEARCH_SEED, Bounds, Setting, halved

# Trials of rates and of batches, and pairs of fresh seeds; the first that the time has room for. With two pairs only a
# difference that is nearly the same in both is more than noise.
PLANS = ((4, 2, 4), (4, 2, 3), (3, 1, 3), (2, 1, 2), (2, 0, 2))
# Fewer steps have no room for warm-up and decay.
LEAST_STEPS = 50
# A step beside another program, and what is not foreseen.
SLOWER = 1.1
# What a trial may spend on being scored, as a share of the tokens that it learns from; windows overlap by half.
SCORED_SHARE, LEAST_WINDOWS = 0.1, 64
# The range test may take so much of the time.
RANGE_SHARE = 0.2
LARGEST_RATE = 10.0
# The newest, the best and the next of the range test and of one trial, whose checkpoints go when it has its figure.
CHECKPOINTS_AT_ONCE = 2 * 3


def prepare_search(search: Search, state: State) -> None:
    """The text is prepared once, in the cache, and the settings of the default are written down."""
    layers = state.given()
    settings = [layer.values.get("machine", {}).get("cache") for layer in layers]
    named = next((one for one in reversed(settings) if one is not None), "auto")
    # A folder that is named is taken for a small text too, so that no trial prepares it again.
    cache = find_cache(str(named))
    place = cache.folder if cache else search.folder.path / "cache"
    kept = Layer("search", {"machine": {"cache": str(place)}})
    search.tell("preparing the text")
    prepared = prepare_text([*layers, kept], minutes=state.target_minutes, watch=search.watch)
    resolved = prepared.resolved
    require_room(
        search.folder.path,
        CHECKPOINTS_AT_ONCE * checkpoint_bytes(resolved.config),
        f"{CHECKPOINTS_AT_ONCE} checkpoints of its trials at once",
        "Free some, put the search on another disk by --runs-folder, or take a smaller model",
    )
    write_bytes(search.folder.base, to_toml(resolved.config, resolved.sources).encode())


def plan_search(search: Search, state: State) -> State:
    """The range test tells what rates are borne and what a step takes; the time tells how many trials there are."""
    folder, config = search.folder, search.folder.default_config()
    highest = min(HIGHEST, LARGEST_RATE / max(config.optimizer.peak_rates.values()))
    search.tell(f"range test: {STEPS} steps with a rate that rises to {highest:g} times the default's")
    began = time.perf_counter()
    over = {
        **values_of(config, Setting(highest, default_of(config).batch_tokens)),
        "schedule": {"kind": "constant", "warmup_share": 1.0, "first_window": 0},
    }
    over["training"] |= {"steps": STEPS, "seed": SEARCH_SEED, "bad_steps": STEPS, "log_every": 1}
    seconds = min(search.left, RANGE_SHARE * 60 * search.minutes)
    with suppress(OutOfTimeError, TrainingError):  # what was seen until then is told by its journal
        short_training(search, folder.range_test, over, scored_tokens=0, seconds=seconds)
    rows = list(rows_of(folder.range_test.metrics, TrainRow))
    if len(rows) < 3:
        raise ConfigError(
            f"three steps of this model take longer than {RANGE_SHARE:.0%} of {search.minutes:g} minutes; give the "
            "search more --minutes, or take a smaller model"
        )
    seen = read_range_test(folder.range_test, next(iter(config.optimizer.peak_rates.values())))
    step = (rows[-1].seconds - rows[0].seconds) / (rows[-1].step - rows[0].step)
    overhead = max(0.0, time.perf_counter() - began - rows[-1].seconds)
    steps, plan = _affordable(search, step * SLOWER, overhead, config.training.steps)
    n_rates, n_batches, n_pairs = plan
    bounds = Bounds(n_rates, n_batches, n_pairs, seen.edge, seen.start, window_tokens=config.model.context_length)
    tokens = steps * default_of(config).batch_tokens
    scored = max(round(SCORED_SHARE * tokens), LEAST_WINDOWS * config.model.context_length)
    each = overhead + steps * step * SLOWER
    edge = "no rate was too high" if seen.edge is None else f"the loss rises from {seen.edge:.3g} times the default on"
    search.tell(
        f"range test: {edge} (one run); trials of {steps:,} steps, about {duration_text(each)} each: {n_rates} of "
        f"rates, {n_batches} of batches, then the best against the default in {n_pairs} fresh seeds or more"
    )
    return write_state(folder, replace(state, scored_tokens=scored, steps=steps, trial_seconds=each, bounds=bounds))


def _affordable(search: Search, step: float, overhead: float, most_steps: int) -> tuple[int, tuple[int, int, int]]:
    """Steps of a trial, and how many trials of which kind."""
    for plan in PLANS:
        n_trials = 1 + plan[0] + plan[1] + 2 * plan[2]
        steps = int((search.left / n_trials - overhead) / step)
        if steps >= min(LEAST_STEPS, most_steps):
            return min(steps, most_steps), plan
    n_trials = 1 + PLANS[-1][0] + PLANS[-1][1] + 2 * PLANS[-1][2]
    needed = (search.spent + n_trials * (overhead + min(LEAST_STEPS, most_steps) * step)) / 60
    raise ConfigError(
        f"{search.minutes:g} minutes are too little for {n_trials} trials of {LEAST_STEPS} steps, "
        f"{duration_text(step)} each; give the search about {math.ceil(needed * 1.2)} --minutes, or take a smaller "
        "model"
    )


# A batch b of the noise scale B needs 1 + b / B times the fewest tokens: below an eighth half of it would save less
# than a sixteenth of them, and then a larger one, with fewer and quieter steps, is tried first.
SMALL_BATCH = 1 / 8


def worthwhile_batches(batch_tokens: int, noise_tokens: float, window: int) -> tuple[int, ...]:
    """Half and twice the default's batch in whole windows, first the one that the noise scale speaks for."""
    half, twice = halved(batch_tokens, window), 2 * batch_tokens
    order = (half, twice) if batch_tokens > SMALL_BATCH * noise_tokens else (twice, half)
    return tuple(one for one in order if one != batch_tokens)
