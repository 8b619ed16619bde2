"""Instruments on any nn.Module: the recorded graph, the rules of differentiation, what they say and prove."""

from chainrule.lens.activations import Activation, Heads, Inside, Units, look_inside
from chainrule.lens.attention_health import head_health
from chainrule.lens.cell import Cell, cell
from chainrule.lens.classics import NEURON, SmallNetwork, network, neuron, one_neuron
from chainrule.lens.classics_network import (
    ByHand,
    ZeroGrad,
    network_by_hand,
    sgd_step,
    train_network,
    zero_grad_matters,
)
from chainrule.lens.classics_neuron import HandLine, neuron_by_hand, ulps
from chainrule.lens.classics_ways import by_autograd, by_numbers, by_rules, largest_difference
from chainrule.lens.compare import Difference
from chainrule.lens.coordinate import CoordinatePath, PathStep, Term, Use
from chainrule.lens.copies import in_float64
from chainrule.lens.diagnosis import Cause, Diagnosis, Replay, SpikeCase, diagnose
from chainrule.lens.differences import Estimate, coordinate_derivative, directional_derivative, ridders
from chainrule.lens.draw import (
    FORMATS,
    Picture,
    picture,
    picture_text,
    to_html,
    to_json,
    to_latex,
    to_markdown,
    to_svg,
    to_terminal,
)
from chainrule.lens.explain import Explanation, explain
from chainrule.lens.explain_given import written_tensor
from chainrule.lens.fold import Fold, fold
from chainrule.lens.health_record import HealthRecord, mean_noise
from chainrule.lens.judgement import judge
from chainrule.lens.layers import block_of, layer_in_words, layer_of, parameter_layers, watched_modules
from chainrule.lens.ledger import LeafRow, Ledger, LedgerRow, Meeting, Part, ledger, shown_names
from chainrule.lens.ledger_facts import ledger_facts, path_facts
from chainrule.lens.locate import Place
from chainrule.lens.noise import NoiseScale, noise_scale
from chainrule.lens.norms import NormMeter, Norms, parameter_norms
from chainrule.lens.passage import Passage, Portion, Reading, passage
from chainrule.lens.proof import ParameterCheck, Report
from chainrule.lens.proof_text import proof_lines
from chainrule.lens.record import record
from chainrule.lens.reverse import Contribution, ReverseStep, differentiable, reverse
from chainrule.lens.rule_book import RuleEntry, find_rule, rule_book
from chainrule.lens.rules import CONSTANT, RULES, Call, Formula, Gradients, Rule, unbroadcast
from chainrule.lens.sampling import NumberCheck, Numbers
from chainrule.lens.segments import Segment
from chainrule.lens.spikes import Excess, SpikeDetector, ratio_score, robust_score
from chainrule.lens.statistics import measure
from chainrule.lens.step import Step, capture
from chainrule.lens.subject import Subject
from chainrule.lens.suspects import Suspect, first_difference, first_suspect
from chainrule.lens.tape import Level, Meta, Node, Ref, Site, Stats, Tape, Value
from chainrule.lens.tensor import TensorView, tensor
from chainrule.lens.tensor_layout import Viewing, viewing
from chainrule.lens.tensor_memory import Sharing, shares
from chainrule.lens.tensor_words import as_tensor
from chainrule.lens.text import ledger_lines
from chainrule.lens.text_path import path_lines
from chainrule.lens.tolerance import Tolerance
from chainrule.lens.tour import Tour, tour_of_tensors
from chainrule.lens.verdicts import Verdict
from chainrule.lens.verify import verify

__all__ = [
    "CONSTANT",
    "FORMATS",
    "NEURON",
    "RULES",
    "Activation",
    "ByHand",
    "Call",
    "Cause",
    "Cell",
    "Contribution",
    "CoordinatePath",
    "Diagnosis",
    "Difference",
    "Estimate",
    "Excess",
    "Explanation",
    "Fold",
    "Formula",
    "Gradients",
    "HandLine",
    "Heads",
    "HealthRecord",
    "Inside",
    "LeafRow",
    "Ledger",
    "LedgerRow",
    "Level",
    "Meeting",
    "Meta",
    "Node",
    "NoiseScale",
    "NormMeter",
    "Norms",
    "NumberCheck",
    "Numbers",
    "ParameterCheck",
    "Part",
    "Passage",
    "PathStep",
    "Picture",
    "Place",
    "Portion",
    "Reading",
    "Ref",
    "Replay",
    "Report",
    "ReverseStep",
    "Rule",
    "RuleEntry",
    "Segment",
    "Sharing",
    "Site",
    "SmallNetwork",
    "SpikeCase",
    "SpikeDetector",
    "Stats",
    "Step",
    "Subject",
    "Suspect",
    "Tape",
    "TensorView",
    "Term",
    "Tolerance",
    "Tour",
    "Units",
    "Use",
    "Value",
    "Verdict",
    "Viewing",
    "ZeroGrad",
    "as_tensor",
    "block_of",
    "by_autograd",
    "by_numbers",
    "by_rules",
    "capture",
    "cell",
    "coordinate_derivative",
    "diagnose",
    "differentiable",
    "directional_derivative",
    "explain",
    "find_rule",
    "first_difference",
    "first_suspect",
    "fold",
    "head_health",
    "in_float64",
    "judge",
    "largest_difference",
    "layer_in_words",
    "layer_of",
    "ledger",
    "ledger_facts",
    "ledger_lines",
    "look_inside",
    "mean_noise",
    "measure",
    "network",
    "network_by_hand",
    "neuron",
    "neuron_by_hand",
    "noise_scale",
    "one_neuron",
    "parameter_layers",
    "parameter_norms",
    "passage",
    "path_facts",
    "path_lines",
    "picture",
    "picture_text",
    "proof_lines",
    "ratio_score",
    "record",
    "reverse",
    "ridders",
    "robust_score",
    "rule_book",
    "sgd_step",
    "shares",
    "shown_names",
    "tensor",
    "to_html",
    "to_json",
    "to_latex",
    "to_markdown",
    "to_svg",
    "to_terminal",
    "tour_of_tensors",
    "train_network",
    "ulps",
    "unbroadcast",
    "verify",
    "viewing",
    "watched_modules",
    "written_tensor",
    "zero_grad_matters",
]
