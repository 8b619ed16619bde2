"""What a person may choose about a fine-tuning, beside the settings of every run."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from chainrule.base import ConfigError
from chainrule.finetune.lesson import ADAPTERS, OBJECTIVES


@dataclass(frozen=True)
class TuningSettings:
    """What is taught and how; all but the learning rate, which is a setting of the run (optimizer.lr)."""

    epochs: float = 3.0
    batch_examples: int = 16
    """Examples of an update, about."""
    held_out: float = 0.1
    """Share of the examples that is never learnt."""
    columns: Mapping[str, str] = field(default_factory=dict)
    """Which column of the files stands for which of ours, see `read_rows`."""
    skip_bad: bool = False
    """Whether rows of no known shape are left out."""
    too_long: str = "cut"
    """cut: from the left of a prompt; refuse: the row. An answer is never cut."""
    base_text: tuple[str, ...] = ()
    """Text like that which the model was trained on: what is forgotten is measured on it."""
    replay: float = 0.0
    """Share of the learnt tokens that is base text."""
    objective: str = "answers"
    adapter: str = "none"
    probe: bool = True
    """Whether eight examples are learnt by heart first, on a copy."""

    def __post_init__(self) -> None:
        if self.objective not in OBJECTIVES:
            raise ConfigError(f"objective={self.objective!r} is unknown; there are {', '.join(OBJECTIVES)}")
        if self.adapter not in ADAPTERS:
            raise ConfigError(f"adapter={self.adapter!r} is unknown; there are {', '.join(ADAPTERS)}")
        if self.too_long not in ("cut", "refuse"):
            raise ConfigError(f"too_long={self.too_long!r} is unknown; use cut or refuse")
        if not (self.epochs > 0 and self.batch_examples > 0 and 0 < self.held_out < 1 and 0 <= self.replay < 1):
            raise ConfigError(
                f"epochs={self.epochs:g}, batch_examples={self.batch_examples}, held_out={self.held_out:g}, "
                f"replay={self.replay:g}: epochs and examples are positive, shares below 1"
            )
