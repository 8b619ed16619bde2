"""Instruments of a run: norms, activations, attention, steps out of line; they read, and change nothing."""

from chainrule.health.activations import Inside, look_inside
from chainrule.health.attention import head_health
from chainrule.health.diagnosis import Diagnosis, SpikeCase, diagnose
from chainrule.health.layers import parameter_layers, watched_modules
from chainrule.health.module_stack import ModuleStack
from chainrule.health.norms import NormMeter, Norms, parameter_norms
from chainrule.health.portions import Portion, passage
from chainrule.health.spikes import Excess, SpikeDetector, ratio_score, robust_score
from chainrule.health.suspects import first_suspect

__all__ = [
    "Diagnosis",
    "Excess",
    "Inside",
    "ModuleStack",
    "NormMeter",
    "Norms",
    "Portion",
    "SpikeCase",
    "SpikeDetector",
    "diagnose",
    "first_suspect",
    "head_health",
    "look_inside",
    "parameter_layers",
    "parameter_norms",
    "passage",
    "ratio_score",
    "robust_score",
    "watched_modules",
]
