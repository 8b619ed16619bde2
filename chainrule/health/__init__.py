"""Instruments of a run: norms, activations, attention, steps out of line; they read, and change nothing."""

from chainrule.health.activations import Inside, look_inside
from chainrule.health.diagnosis import Diagnosis, SpikeCase, diagnose
from chainrule.health.module_stack import ModuleStack
from chainrule.health.norms import NormMeter, Norms, parameter_norms
from chainrule.health.portions import Portion
from chainrule.health.spikes import Excess, SpikeDetector, ratio_score, sigma_excesses

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
    "look_inside",
    "parameter_norms",
    "ratio_score",
    "sigma_excesses",
]
