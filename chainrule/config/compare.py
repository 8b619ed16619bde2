"""What two configurations do differently, and which differences a run may take up in its middle."""

from collections.abc import Mapping, Sequence
from typing import Any

from chainrule.base import ConfigError
from chainrule.config.load import Layer, resolve
from chainrule.config.optimizers import OptimizerConfig
from chainrule.config.schema import Config, ScheduleConfig

# These change what is looked at and kept, and no bit of what is learnt.
SAFE_ON_RESUME = frozenset(
    f"training.{key}"
    for key in (
        "log_every",
        "eval_every",
        "eval_tokens",
        "sample_every",
        "sample_tokens",
        "health_every",
        "prompts",
        "tasks",
        "save_every",
        "keep_last",
        "background_saves",
        "on_full",
        "bad_steps",
        "replay_every",
    )
) | {"machine.cache", "machine.readable_by", "machine.workers", "machine.executor", "machine.executor_options"}


# These change how a step is computed and not what: sums are rounded in another order, or to another format. A run must
# be able to leave its machine, so they are taken up, and said.
ROUNDED_ON_RESUME = frozenset(
    f"machine.{key}"
    for key in (
        "device",
        "precision",
        "kernels",
        "compile",
        "threads",
        "when_busy",
        "micro_batch",
        "parallel",
        "activation_checkpointing",
    )
)
LENGTH = "training.steps"
# What a fork may change besides: how it goes on, and neither what the weights are nor what they are learnt from.
FORKED = "origin.fork"
CHANGED_IN_FORK = frozenset(
    (
        *(
            "training.batch_tokens",
            "training.seed",
            "training.on_spike",
            "training.spike_sigma",
            "training.spike_window",
            "model.drop_rate",
            "text.cross_documents",
            "text.mixture",
        ),
        *(f"optimizer.{key}" for key in OptimizerConfig.model_fields if key != "kind"),
        *(f"schedule.{key}" for key in ScheduleConfig.model_fields),
    )
)


def differences(old: Config, new: Config) -> dict[str, tuple[Any, Any]]:
    """The settings with unequal values, "section.key" -> (old, new), in the order of the file."""
    before, after = _flat(old), _flat(new)
    return {key: (before[key], after[key]) for key in before if before[key] != after[key]}


def check_resume(saved: Config, wanted: Config) -> dict[str, tuple[Any, Any]]:
    """The differences that a resumed run takes up; raises ConfigError when one would make it another run.

    Those of ROUNDED_ON_RESUME change its last bits, and another number of steps where it ends: both are for the caller
    to say.
    """
    changed = differences(saved, wanted)
    unsafe = {key: pair for key, pair in changed.items() if key not in {*SAFE_ON_RESUME, *ROUNDED_ON_RESUME, LENGTH}}
    if unsafe:
        listed = "; ".join(f"{key} from {old!r} to {new!r}" for key, (old, new) in unsafe.items())
        safe = ", ".join(sorted({*SAFE_ON_RESUME, *ROUNDED_ON_RESUME, LENGTH}))
        raise ConfigError(
            f"a resumed run goes on as it began, and this would change {listed}. Leave it out, or start a new run from "
            "this one: with --fork it goes on with optimizer, order and schedule, with --from it has its weights "
            f"alone. What may change: {safe}."
        )
    return changed


def check_fork(saved: Config, wanted: Config) -> dict[str, tuple[Any, Any]]:
    """What a fork changes of the run that it goes on from; raises ConfigError for what has to stay, by its name."""
    changed = {key: pair for key, pair in differences(saved, wanted).items() if key != FORKED}
    may = {*SAFE_ON_RESUME, *ROUNDED_ON_RESUME, *CHANGED_IN_FORK, LENGTH}
    fixed = {key: pair for key, pair in changed.items() if key not in may}
    if fixed:
        listed = "; ".join(f"{key} from {old!r} to {new!r}" for key, (old, new) in fixed.items())
        raise ConfigError(
            f"a fork goes on with the weights, the optimizer, the vocabulary and the text of its run, and this would "
            f"change {listed}. Leave it out; for another text there is --from, for another shape a run from nothing. "
            f"What may change: {', '.join(sorted(may))}."
        )
    return changed


def fork_of(layers: Sequence[Layer]) -> str | None:
    """The checkpoint that the layers name to go on from, the last word counting; None where they name none."""
    words = (layer.values.get("origin", {}).get("fork") for layer in reversed(layers))
    # What is no text is refused by the schema.
    return next((word for word in words if isinstance(word, str)), None)


def changes_on_resume(saved: Layer, asked: Layer) -> dict[str, tuple[Any, Any]]:
    """What `asked` changes of a run with the settings `saved`; raises ConfigError as `check_resume` does."""
    return check_resume(resolve([saved]).config, resolve([saved, asked]).config)


def _flat(config: Config) -> Mapping[str, Any]:
    sections = config.model_dump(mode="json")
    return {f"{section}.{key}": value for section, values in sections.items() for key, value in values.items()}
