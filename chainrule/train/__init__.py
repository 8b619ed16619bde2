"""The training of a model: from settings and text to a run folder."""

from chainrule.train.origin import old_dataset
from chainrule.train.prepare import prepare_text, training_batches
from chainrule.train.pretraining import pretrain
from chainrule.train.state import seed_step
from chainrule.train.step import StepSettings, gradient_norms, train_step
from chainrule.train.watch import Watch

__all__ = [
    "StepSettings",
    "Watch",
    "gradient_norms",
    "old_dataset",
    "prepare_text",
    "pretrain",
    "seed_step",
    "train_step",
    "training_batches",
]
