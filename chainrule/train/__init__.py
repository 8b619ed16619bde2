"""The training of a model: from settings and text to a run folder."""

from chainrule.train.origin import old_dataset
from chainrule.train.prepare import prepare_text, training_batches
from chainrule.train.pretraining import pretrain
from chainrule.train.state import seed_step
from chainrule.train.step import gradient_norms
from chainrule.train.watch import Watch

__all__ = [
    "Watch",
    "gradient_norms",
    "old_dataset",
    "prepare_text",
    "pretrain",
    "seed_step",
    "training_batches",
]
