"""Settings while nothing is known of machine and text: enough to find mistakes before anything slow is begun."""

from collections.abc import Sequence

from chainrule.base import ConfigError
from chainrule.config import Config, Layer, Resolved, resolve
from chainrule.plan.choice import DEFAULT_MINUTES, choose, with_automatic
from chainrule.plan.cost import Machine
from chainrule.run import check_source

# Stands in for the machine; what it decides is decided again.
ANY_MACHINE = Machine(cores=1, memory_bytes=2**40, peak_flops=1e12)


def time_budget(layers: Sequence[Layer], minutes: float | None) -> float | None:
    """Minutes that the run may take: as asked, none when the steps are set, else the default."""
    if minutes is not None:
        return minutes
    return None if any("steps" in layer.values.get("training", {}) for layer in layers) else DEFAULT_MINUTES


def draft(layers: Sequence[Layer], minutes: float | None) -> Resolved:
    """Settings in which text, machine and origin are as asked, and the shape is provisional."""
    return resolve(with_automatic(layers, choose(ANY_MACHINE, minutes=minutes, layers=layers)))


def check_layers(layers: Sequence[Layer], minutes: float | None) -> Config:
    """The drafted settings; raises ConfigError or RunError for what is wrong with them."""
    config = draft(layers, minutes).config
    if not config.text.paths:
        raise ConfigError("no text was given: name a folder, a file or a glob, as in `chainrule pretrain my_texts/`")
    check_source(config.origin.start_from)
    return config
