"""The small programs that are worked out by hand, and the tour of tensors."""

from chainrule.lens.classics.network_steps import (
    ByHand,
    ZeroGrad,
    network_by_hand,
    sgd_step,
    train_network,
    zero_grad_matters,
)
from chainrule.lens.classics.neuron_steps import HandLine, neuron_by_hand, ulps
from chainrule.lens.classics.programs import NEURON, SmallNetwork, network, neuron, one_neuron
from chainrule.lens.classics.tour import Tour, tour_of_tensors
from chainrule.lens.classics.ways import by_autograd, by_numbers, by_rules, largest_difference

__all__ = [
    "NEURON",
    "ByHand",
    "HandLine",
    "SmallNetwork",
    "Tour",
    "ZeroGrad",
    "by_autograd",
    "by_numbers",
    "by_rules",
    "largest_difference",
    "network",
    "network_by_hand",
    "neuron",
    "neuron_by_hand",
    "one_neuron",
    "sgd_step",
    "tour_of_tensors",
    "train_network",
    "ulps",
    "zero_grad_matters",
]
