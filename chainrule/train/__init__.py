"""The training of a model: from settings and text to a run folder."""

from chainrule.base import Interrupted
from chainrule.train.prepare import prepare_text
from chainrule.train.pretrain import pretrain
from chainrule.train.spike import SpikeReport, explain_spike
from chainrule.train.watch import Watch, silent

__all__ = [
    "Interrupted",
    "SpikeReport",
    "Watch",
    "explain_spike",
    "prepare_text",
    "pretrain",
    "silent",
]
