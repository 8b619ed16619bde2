"""The tables of a search, as a terminal and the page both show them, and what it came to as JSON."""

from collections.abc import Iterator
from typing import Any

from chainrule.base import duration_text
from chainrule.tune.outcome import Tuned, setting_text
from chainrule.tune.state import values_of
from chainrule.tune.trials import Setting, Trial
from chainrule.verdict import spread_text

HEADS = ("setting", "learning rates", "batch", "seed", "steps", "bits per byte", "beside the default", "time")


def tuning_tables(found: Tuned) -> Iterator[tuple[str, tuple[str, ...], list[tuple[str, ...]], str]]:
    """Title, heads, rows and a quiet sentence of each table."""
    default = {one.seed: one for one in found.trials if one.setting == found.default}
    rows = [_row(found, one, default.get(one.seed)) for one in found.trials]
    known = [one.bits for one in default.values() if one.bits is not None]
    spread = (
        f"; the default's {len(known)} seeds came to {spread_text(known)}"
        if len(known) > 1
        else "; one seed tells no spread"
    )
    yield (
        "Trials",
        HEADS,
        rows,
        f"Each figure is of one run; differences are of equal seeds{spread}. Seed 0 finds a candidate, the others "
        "judge it.",
    )


def row_of(found: Tuned) -> dict[str, Any]:
    """As JSON holds it."""
    noise, interval = found.state.noise, found.difference.interval if found.difference else None
    return {
        "status": found.status,
        "folder": str(found.folder.path),
        "config": str(found.folder.tuned) if found.folder.tuned.is_file() else None,
        "default": _setting(found, found.default),
        "winner": _setting(found, found.winner),
        "chosen": _setting(found, found.chosen),
        "difference": found.difference.mean if found.difference else None,
        "low": interval[0] if interval else None,
        "high": interval[1] if interval else None,
        "pairs": found.difference.n if found.difference else 0,
        "said": found.verdict.text,
        "trials": [one.row() for one in found.trials],
        "range_test": {"edge": found.range_test.edge, "points": [list(point) for point in found.range_test.points]},
        "noise_scale": noise.row() if noise else None,
    }


def _setting(found: Tuned, setting: Setting) -> dict[str, Any]:
    values = values_of(found.folder.default_config(), setting)
    return {"times": setting.rate, **values["optimizer"], **values["training"]}


def _row(found: Tuned, trial: Trial, beside: Trial | None) -> tuple[str, ...]:
    rates = values_of(found.folder.default_config(), trial.setting)["optimizer"]
    bits = "diverged" if trial.bits is None else f"{trial.bits:.4f}"
    apart = ""
    if beside is not None and trial.setting != found.default and trial.bits is not None and beside.bits is not None:
        apart = f"{trial.bits - beside.bits:+.4f}"
    return (
        setting_text(trial.setting, found.default),
        ", ".join(f"{name} {rate:g}" for name, rate in rates.items()),
        f"{trial.setting.batch_tokens:,}",
        str(trial.seed),
        f"{trial.steps:,}",
        bits,
        apart,
        duration_text(trial.seconds),
    )
