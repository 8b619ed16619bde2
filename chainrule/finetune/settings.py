"""What a person may choose about a fine-tuning, beside the settings of every run."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from chainrule.base import ConfigError
from chainrule.finetune.preference import OBJECTIVES
from chainrule.finetune.weights import ADAPTERS, is_large
from chainrule.model import GPT, LoraSettings
from chainrule.train import gentle_rate

USUAL_LORA = LoraSettings()
# The best rate of an adapter for what it learns is ten times that of all weights, and with alpha = 32 and a scale of
# alpha / rank it does not depend on the rank (Schulman and others, "LoRA Without Regret", 2025): so it goes with
# 1 / (rank · scale). Half of it learns a thousand closed answers as well (50 and 54 of 64 held-out ones) and forgets
# half as much: text without a template costs 1.5 % more bits after it and 2.8 % after ten times, with a tenth of replay
# (benchmarks/instructions.py, SmolLM2).
ADAPTER_FACTOR, USUAL_ALPHA = 5.0, 32.0
# Preferences are learnt at lower rates than answers: what they move is already likely. trl's defaults are 1e-6 for DPO
# and 2e-5 for answers; small models take more.
PREFERENCE_SHARE = 0.1


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
    """answers: those of the examples; dpo, ipo, orpo, simpo, kto: which of them is better."""
    strength: float | None = None
    """β of dpo, simpo and kto, τ of ipo, λ of orpo; None: the usual one."""
    adapter: str = "auto"
    """lora: an adapter learns, and the model's own weights stay; none: all weights; auto: lora for large models."""
    lora: LoraSettings = USUAL_LORA
    """What an adapter is, where there is one."""
    probe: bool = True
    """Whether eight examples are learnt by heart first, on a copy."""

    def __post_init__(self) -> None:
        if self.objective not in ("answers", *OBJECTIVES):
            raise ConfigError(f"objective={self.objective!r} is unknown; there are answers, {', '.join(OBJECTIVES)}")
        if self.adapter not in ("auto", *ADAPTERS):
            raise ConfigError(f"adapter={self.adapter!r} is unknown; there are auto, {', '.join(ADAPTERS)}")
        if self.objective != "answers":
            if self.replay:
                raise ConfigError(f"replay={self.replay:g} mixes text into answers, and {self.objective} compares them")
            OBJECTIVES[self.objective](*([] if self.strength is None else [self.strength]))
        elif self.strength is not None:
            raise ConfigError(f"strength={self.strength:g} belongs to an objective for preferences, not to answers")
        if self.too_long not in ("cut", "refuse"):
            raise ConfigError(f"too_long={self.too_long!r} is unknown; use cut or refuse")
        if not (
            0 < self.epochs < math.inf and self.batch_examples > 0 and 0 < self.held_out < 1 and 0 <= self.replay < 1
        ):
            raise ConfigError(
                f"epochs={self.epochs:g}, batch_examples={self.batch_examples}, held_out={self.held_out:g}, "
                f"replay={self.replay:g}: epochs and examples are positive and finite, shares below 1"
            )

    def adapter_for(self, model: GPT) -> str:
        """The word in ADAPTERS for this model."""
        return self.adapter if self.adapter != "auto" else "lora" if is_large(model) else "none"

    def rate(self, width: int, adapter: str) -> float | None:
        """The peak learning rate by what learns and how; None where the usual one of going on with a model is right."""
        share = 1.0 if self.objective == "answers" else PREFERENCE_SHARE
        gentle = gentle_rate(width) * share
        if adapter == "none":
            return None if share == 1 else gentle
        return gentle * ADAPTER_FACTOR * USUAL_ALPHA / (self.lora.rank * self.lora.scale)
