"""Instruments on any nn.Module: the recorded graph, the rules of differentiation, what they say and prove."""

from chainrule.lens.record import record
from chainrule.lens.reverse import Contribution, ReverseStep, differentiable, reverse
from chainrule.lens.rules import CONSTANT, RULES, Call, Formula, Gradients, Rule, unbroadcast
from chainrule.lens.statistics import measure
from chainrule.lens.tape import Meta, Node, Ref, Site, Stats, Tape, Value

__all__ = [
    "CONSTANT",
    "RULES",
    "Call",
    "Contribution",
    "Formula",
    "Gradients",
    "Meta",
    "Node",
    "Ref",
    "ReverseStep",
    "Rule",
    "Site",
    "Stats",
    "Tape",
    "Value",
    "differentiable",
    "measure",
    "record",
    "reverse",
    "unbroadcast",
]
