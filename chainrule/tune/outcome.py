"""What a search has come to: the best of the first seed, the difference in fresh seeds, and the settings to take."""

from collections.abc import Sequence
from dataclasses import dataclass

from chainrule.base import duration_text
from chainrule.tune.range_test import RangeTest, read_range_test
from chainrule.tune.state import State, TuneFolder, default_of, write_tuned
from chainrule.tune.trials import Setting, Trial, best, diverged, judged
from chainrule.verdict import Paired, Verdict, judge_tuning


@dataclass(frozen=True)
class Tuned:
    """What a search has come to: `winner` is the best of the first seed, `chosen` what the configuration has.

    `difference` is the winner's from the default in fresh seeds; None where there were none.
    """

    folder: TuneFolder
    state: State
    default: Setting
    winner: Setting
    chosen: Setting
    difference: Paired | None
    verdict: Verdict
    trials: tuple[Trial, ...]
    range_test: RangeTest
    status: str
    signal: int | None = None


def outcome_of(folder: TuneFolder, state: State, status: str, signal: int | None = None) -> Tuned:
    """What is known by now; a finished search writes its configuration."""
    config, trials = folder.default_config(), folder.trials()
    default = default_of(config)
    winner = best(default, trials)
    difference = judged(default, winner, trials) if winner != default else None
    lost = diverged(winner, trials)
    recommended = difference is not None and difference.outcome == "better" and not lost
    chosen = winner if recommended else default
    others = len({one.setting for one in trials} - {default})
    words = None if winner == default else setting_text(winner, default)
    verdict = judge_tuning(words, others, difference, diverged=lost)
    seen = read_range_test(folder.range_test, next(iter(config.optimizer.peak_rates.values())))
    if status == "finished":
        write_tuned(folder, chosen, [verdict.text, conditions(state)])
    return Tuned(folder, state, default, winner, chosen, difference, verdict, tuple(trials), seen, status, signal)


def conditions(state: State) -> str:
    """Under what a search has measured: what its figures may be trusted for."""
    steps = "" if state.steps is None else f" of {state.steps:,} steps"
    return (
        f"Measured by trials{steps}, for runs of {state.target_minutes:g} minutes: where a run is many times longer "
        "its best rate is often a little lower. Another text, model or time wants another search."
    )


def setting_text(setting: Setting, default: Setting) -> str:
    """A setting beside the default, in words."""
    if setting == default:
        return "the default"
    rate = "" if setting.rate == default.rate else f"{setting.rate:.3g} times the rates"
    batch = "" if setting.batch_tokens == default.batch_tokens else f"a batch of {setting.batch_tokens:,} tokens"
    return " with ".join(part for part in (rate, batch) if part)


def trial_text(trial: Trial, default: Setting, trials: Sequence[Trial]) -> str:
    """What one trial came to, beside the default with the same seed."""
    if trial.bits is None:
        return f"diverged, after {duration_text(trial.seconds)}"
    beside = next((one for one in trials if one.setting == default and one.seed == trial.seed), None)
    against = ""
    if beside is not None and beside.bits is not None and trial.setting != default:
        against = f", {trial.bits - beside.bits:+.4f} beside the default with the same seed"
    return f"{trial.bits:.4f} bits per byte{against} (one run, {duration_text(trial.seconds)})"
