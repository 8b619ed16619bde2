"""Gradients of a recording, by rules, by autograd and by differences, and how far apart they may lie."""

from chainrule.lens.engine.autograd import (
    CustomFunctions,
    autograd_gradients,
    function_name,
    function_site,
    local_gradient,
    maker_of,
    written_in_parts,
)
from chainrule.lens.engine.backward import Contribution, ReverseStep, differentiable, loss_to_differentiate, reverse
from chainrule.lens.engine.comparison import Comparison, Difference, compare, difference, largest
from chainrule.lens.engine.cuts import cuts_of
from chainrule.lens.engine.differences import (
    NOISE_ORDER,
    NOISE_VALUES,
    UNIT_ROUNDOFF,
    Estimate,
    along,
    computational_noise,
    coordinate_derivative,
    first_step,
    ridders,
)
from chainrule.lens.engine.limits import N_SAMPLES, Limits, limits_from, reasons, sampled_limits
from chainrule.lens.engine.noisy import Formats, number_formats, with_noise
from chainrule.lens.engine.policy import OURS, Policy
from chainrule.lens.engine.replaying import needed_constants, replay
from chainrule.lens.engine.rounding import Noise, unit_roundoff
from chainrule.lens.engine.segments import Segment, narrower_segments
from chainrule.lens.engine.terms import terms_of_value
from chainrule.lens.engine.tolerances import FALSE_ALARM, Tolerance, student_quantile, tolerance

__all__ = [
    "FALSE_ALARM",
    "NOISE_ORDER",
    "NOISE_VALUES",
    "N_SAMPLES",
    "OURS",
    "UNIT_ROUNDOFF",
    "Comparison",
    "Contribution",
    "CustomFunctions",
    "Difference",
    "Estimate",
    "Formats",
    "Limits",
    "Noise",
    "Policy",
    "ReverseStep",
    "Segment",
    "Tolerance",
    "along",
    "autograd_gradients",
    "compare",
    "computational_noise",
    "coordinate_derivative",
    "cuts_of",
    "difference",
    "differentiable",
    "first_step",
    "function_name",
    "function_site",
    "largest",
    "limits_from",
    "local_gradient",
    "loss_to_differentiate",
    "maker_of",
    "narrower_segments",
    "needed_constants",
    "number_formats",
    "reasons",
    "replay",
    "reverse",
    "ridders",
    "sampled_limits",
    "student_quantile",
    "terms_of_value",
    "tolerance",
    "unit_roundoff",
    "with_noise",
    "written_in_parts",
]
