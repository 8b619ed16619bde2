"""The small programs that are worked out by hand, and the tour of tensors."""

from chainrule.lens.classics.network_steps import ByHand, ZeroGrad
from chainrule.lens.classics.neuron_steps import HandLine
from chainrule.lens.classics.programs import SmallNetwork, network, neuron, one_neuron
from chainrule.lens.classics.told_network import NetworkDemo, network_demo
from chainrule.lens.classics.told_neuron import NeuronDemo, answer, neuron_demo
from chainrule.lens.classics.tour import Tour, tour_of_tensors
from chainrule.lens.classics.ways import by_autograd, by_numbers, by_rules

__all__ = [
    "ByHand",
    "HandLine",
    "NetworkDemo",
    "NeuronDemo",
    "SmallNetwork",
    "Tour",
    "ZeroGrad",
    "answer",
    "by_autograd",
    "by_numbers",
    "by_rules",
    "network",
    "network_demo",
    "neuron",
    "neuron_demo",
    "one_neuron",
    "tour_of_tensors",
]
