"""The training of a model: from settings and text to a run folder."""

from chainrule.train.machine import MachineFacts, choose_device, look_at_machine
from chainrule.train.pretrain import pretrain
from chainrule.train.spike import SpikeReport, explain_spike
from chainrule.train.stop import Interrupted
from chainrule.train.watch import Watch, silent

__all__ = [
    "Interrupted",
    "MachineFacts",
    "SpikeReport",
    "Watch",
    "choose_device",
    "explain_spike",
    "look_at_machine",
    "pretrain",
    "silent",
]
