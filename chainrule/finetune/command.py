"""What to type to teach the same again, as the report shows it."""

import shlex

from chainrule.config import Config
from chainrule.run import Tuning


def command_of(tuning: Tuning, config: Config) -> str:
    """The command line of a fine-tuning with the settings that decide what is learnt, and for how long."""
    optimizer, training, lora = config.optimizer, config.training, tuning.lora
    words = ["chainrule", "finetune", tuning.source, *tuning.examples]
    words += ["--training.steps", str(training.steps), "--optimizer.lr", f"{optimizer.lr:g}"]
    words += ["--objective", tuning.objective] if tuning.objective != "answers" else []
    words += ["--strength", f"{tuning.strength:g}"] if tuning.strength is not None else []
    words += ["--replay", f"{tuning.replay:g}"] if tuning.replay else []
    if lora is None:
        return shlex.join([*words, "--adapter", "none"])
    words += ["--adapter", "lora", "--rank", str(lora.rank)]
    words += ["--alpha", f"{lora.alpha:g}"] if lora.alpha is not None else []
    return shlex.join([*words, *(["--rslora"] if lora.rslora else []), *(["--dora"] if lora.dora else [])])
