"""Instruments on any nn.Module: the recorded graph, the rules of differentiation, what they say and prove."""

from chainrule.lens.activations import Activation, Heads, Inside, Units, look_inside
from chainrule.lens.attention_health import head_health
from chainrule.lens.cell import Cell, cell
from chainrule.lens.coordinate import CoordinatePath, PathStep, Term, Use
from chainrule.lens.differences import Estimate, coordinate_derivative, directional_derivative, ridders
from chainrule.lens.layers import block_of, layer_in_words, layer_of, parameter_layers, watched_modules
from chainrule.lens.ledger import LeafRow, Ledger, LedgerRow, Meeting, Part, ledger, shown_names
from chainrule.lens.noise import NoiseScale, noise_scale
from chainrule.lens.norms import NormMeter, Norms, parameter_norms
from chainrule.lens.record import record
from chainrule.lens.reverse import Contribution, ReverseStep, differentiable, reverse
from chainrule.lens.rules import CONSTANT, RULES, Call, Formula, Gradients, Rule, unbroadcast
from chainrule.lens.spikes import Excess, SpikeDetector, ratio_score, robust_score
from chainrule.lens.statistics import measure
from chainrule.lens.tape import Meta, Node, Ref, Site, Stats, Tape, Value
from chainrule.lens.tensor import TensorView, tensor
from chainrule.lens.tensor_layout import Viewing, viewing
from chainrule.lens.tensor_memory import Sharing, shares

__all__ = [
    "CONSTANT",
    "RULES",
    "Activation",
    "Call",
    "Cell",
    "Contribution",
    "CoordinatePath",
    "Estimate",
    "Excess",
    "Formula",
    "Gradients",
    "Heads",
    "Inside",
    "LeafRow",
    "Ledger",
    "LedgerRow",
    "Meeting",
    "Meta",
    "Node",
    "NoiseScale",
    "NormMeter",
    "Norms",
    "Part",
    "PathStep",
    "Ref",
    "ReverseStep",
    "Rule",
    "Sharing",
    "Site",
    "SpikeDetector",
    "Stats",
    "Tape",
    "TensorView",
    "Term",
    "Units",
    "Use",
    "Value",
    "Viewing",
    "block_of",
    "cell",
    "coordinate_derivative",
    "differentiable",
    "directional_derivative",
    "head_health",
    "layer_in_words",
    "layer_of",
    "ledger",
    "look_inside",
    "measure",
    "noise_scale",
    "parameter_layers",
    "parameter_norms",
    "ratio_score",
    "record",
    "reverse",
    "ridders",
    "robust_score",
    "shares",
    "shown_names",
    "tensor",
    "unbroadcast",
    "viewing",
    "watched_modules",
]
