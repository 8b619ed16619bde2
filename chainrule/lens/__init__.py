"""Instruments on any nn.Module: the recorded graph, the rules of differentiation, what they say and prove.

What most people need; the inner rooms (docs/ARCHITECTURE.md draws them) have the rest.
"""

from chainrule.lens.classics import gpt_demo, network, network_demo, neuron, neuron_demo, tour_of_tensors
from chainrule.lens.draw import Picture, picture
from chainrule.lens.engine import Policy, reverse
from chainrule.lens.expressions import explain
from chainrule.lens.ledgers import ledger
from chainrule.lens.prove import Checked, Report, capture, check, verify
from chainrule.lens.renderers import formats_of, render, save
from chainrule.lens.rules import find_rule, rule_book
from chainrule.lens.tape import Subject, record
from chainrule.lens.tensors import TensorView, shares, tensor, viewing

__all__ = [
    "Checked",
    "Picture",
    "Policy",
    "Report",
    "Subject",
    "TensorView",
    "capture",
    "check",
    "explain",
    "find_rule",
    "formats_of",
    "gpt_demo",
    "ledger",
    "network",
    "network_demo",
    "neuron",
    "neuron_demo",
    "picture",
    "record",
    "render",
    "reverse",
    "rule_book",
    "save",
    "shares",
    "tensor",
    "tour_of_tensors",
    "verify",
    "viewing",
]
