"""The small programs that are worked out by hand, and the tour of tensors."""

from chainrule.lens.classics.network_steps import ByHand, ZeroGrad
from chainrule.lens.classics.neuron_steps import HandLine
from chainrule.lens.classics.programs import SmallNetwork, network, neuron, one_neuron
from chainrule.lens.classics.told_gpt import GptDemo, gpt_demo, gpt_facts, gpt_lines
from chainrule.lens.classics.told_network import NetworkDemo, network_demo, network_facts, network_lines
from chainrule.lens.classics.told_neuron import NeuronDemo, neuron_demo, neuron_facts, neuron_lines
from chainrule.lens.classics.tour import Tour, tour_facts, tour_of_tensors
from chainrule.lens.classics.ways import by_autograd, by_numbers, by_rules

__all__ = [
    "ByHand",
    "GptDemo",
    "HandLine",
    "NetworkDemo",
    "NeuronDemo",
    "SmallNetwork",
    "Tour",
    "ZeroGrad",
    "by_autograd",
    "by_numbers",
    "by_rules",
    "gpt_demo",
    "gpt_facts",
    "gpt_lines",
    "network",
    "network_demo",
    "network_facts",
    "network_lines",
    "neuron",
    "neuron_demo",
    "neuron_facts",
    "neuron_lines",
    "one_neuron",
    "tour_facts",
    "tour_of_tensors",
]
