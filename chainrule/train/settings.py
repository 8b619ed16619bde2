"""The settings of a run, from what was typed to what is written into its folder."""

from collections.abc import Mapping, Sequence
from typing import Any

from chainrule.config import Config, Layer, Resolved, resolve, to_toml
from chainrule.device import MachineFacts
from chainrule.plan import (
    check_memory,
    choose,
    flops_per_token,
    parameters,
    run_tokens,
    training_seconds,
    with_automatic,
)
from chainrule.run import Plan, RunFolder, write_run_file


def settle(layers: Sequence[Layer], facts: MachineFacts, minutes: float | None, text_bytes: int) -> Resolved:
    """All settings, the automatic choice among them; raises DeviceError for a model that is too large."""
    automatic = choose(facts.planned, minutes=minutes, text_bytes=text_bytes, layers=layers)
    resolved = resolve(with_automatic(layers, automatic))
    check_memory(resolved.config, facts.planned, facts.precision)
    return resolved


def pinned(resolved: Resolved, section: str, values: Mapping[str, Any], source: str) -> Resolved:
    """The same settings with these values of one section, which were found out; equal ones keep their source."""
    old = getattr(resolved.config, section)
    new = {key: value for key, value in values.items() if getattr(old, key) != value}
    config = resolved.config.model_copy(update={section: old.model_copy(update=new)})
    return Resolved(config, {**resolved.sources, **{f"{section}.{key}": source for key in new}})


def on_machine(resolved: Resolved, facts: MachineFacts) -> Resolved:
    """The settings with the device, precision and threads that were chosen: a resume must keep them."""
    chosen = {"device": facts.device, "precision": facts.precision, "threads": facts.threads}
    return pinned(resolved, "machine", chosen, "this machine")


def in_windows(config: Config, window_tokens: int) -> Config:
    """The settings as costs see them, where windows are shorter than the context: as many of them in an update."""
    model = config.model.model_copy(update={"context_length": window_tokens})
    training = config.training.model_copy(update={"batch_tokens": config.batch_windows * window_tokens})
    return config.model_copy(update={"model": model, "training": training})


def save_settings(run: RunFolder, resolved: Resolved) -> None:
    """Writes config.toml."""
    write_run_file(run, run.config, to_toml(resolved.config, resolved.sources).encode())


def plan_row(
    config: Config, facts: MachineFacts, step_seconds: float | None = None, learning: int | None = None
) -> Plan:
    """What the run will cost: by the plan, or by the seconds that a step took.

    `learning` is how many numbers learn, where that is not all.
    """
    training = config.training
    seconds = training.steps * step_seconds if step_seconds else training_seconds(config, facts.planned)
    return Plan(
        architecture=config.model.architecture,
        parameters=parameters(config.model).total,
        steps=training.steps,
        tokens=run_tokens(config),
        batch_tokens=config.batch_windows * config.model.context_length,
        flops_per_token=flops_per_token(config.model),
        memory_bytes=check_memory(config, facts.planned, facts.precision, learning).total,
        seconds=round(seconds, 1),
    )
