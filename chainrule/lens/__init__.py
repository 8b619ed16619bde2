"""Instruments on any nn.Module: the recorded graph, the rules of differentiation, what they say and prove."""

from chainrule.lens.cell import Cell, cell
from chainrule.lens.coordinate import CoordinatePath, PathStep, Term, Use
from chainrule.lens.differences import Estimate, coordinate_derivative, directional_derivative, ridders
from chainrule.lens.ledger import LeafRow, Ledger, LedgerRow, Meeting, Part, ledger, shown_names
from chainrule.lens.record import record
from chainrule.lens.reverse import Contribution, ReverseStep, differentiable, reverse
from chainrule.lens.rules import CONSTANT, RULES, Call, Formula, Gradients, Rule, unbroadcast
from chainrule.lens.statistics import measure
from chainrule.lens.tape import Meta, Node, Ref, Site, Stats, Tape, Value

__all__ = [
    "CONSTANT",
    "RULES",
    "Call",
    "Cell",
    "Contribution",
    "CoordinatePath",
    "Estimate",
    "Formula",
    "Gradients",
    "LeafRow",
    "Ledger",
    "LedgerRow",
    "Meeting",
    "Meta",
    "Node",
    "Part",
    "PathStep",
    "Ref",
    "ReverseStep",
    "Rule",
    "Site",
    "Stats",
    "Tape",
    "Term",
    "Use",
    "Value",
    "cell",
    "coordinate_derivative",
    "differentiable",
    "directional_derivative",
    "ledger",
    "measure",
    "record",
    "reverse",
    "ridders",
    "shown_names",
    "unbroadcast",
]
