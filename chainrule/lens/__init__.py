"""Instruments on any nn.Module: the recorded graph, the rules of differentiation, what they say and prove.

What most people need; the inner rooms (docs/ARCHITECTURE.md draws them) have the rest.
"""

from chainrule.lens.classics import answer, network, network_demo, neuron, neuron_demo, tour_of_tensors
from chainrule.lens.draw import Picture, picture, to_html, to_svg
from chainrule.lens.engine import Policy, reverse
from chainrule.lens.expressions import explain
from chainrule.lens.ledgers import ledger, ledger_lines, path_lines
from chainrule.lens.prove import Report, capture, proof_lines, verify
from chainrule.lens.rules import find_rule, rule_book
from chainrule.lens.tape import Subject, record
from chainrule.lens.tensors import TensorView, shares, tensor, viewing

__all__ = [
    "Picture",
    "Policy",
    "Report",
    "Subject",
    "TensorView",
    "answer",
    "capture",
    "explain",
    "find_rule",
    "ledger",
    "ledger_lines",
    "network",
    "network_demo",
    "neuron",
    "neuron_demo",
    "path_lines",
    "picture",
    "proof_lines",
    "record",
    "reverse",
    "rule_book",
    "shares",
    "tensor",
    "to_html",
    "to_svg",
    "tour_of_tensors",
    "verify",
    "viewing",
]
