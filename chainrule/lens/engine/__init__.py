"""Gradients of a recording, by rules, by autograd and by differences, and how far apart they may lie."""

from chainrule.lens.engine.approximate import approximated
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
from chainrule.lens.engine.cuts import Cut, cuts_of, held_nodes
from chainrule.lens.engine.differences import (
    NOISE_ORDER,
    NOISE_VALUES,
    UNIT_ROUNDOFF,
    Estimate,
    along,
    computational_noise,
    coordinate_derivative,
    first_step,
    moving,
    ridders,
)
from chainrule.lens.engine.finite import first_not_finite
from chainrule.lens.engine.holding import Holding
from chainrule.lens.engine.kinks import Watched, kinked
from chainrule.lens.engine.limits import FEWEST_SAMPLES, N_SAMPLES, Limits, limits_from, reasons, sampled_limits
from chainrule.lens.engine.lines import Line, one_sided, settled, slope
from chainrule.lens.engine.noisy import Formats, number_formats, with_noise
from chainrule.lens.engine.policy import OURS, Policy
from chainrule.lens.engine.replaying import local_run, needed_constants, replay
from chainrule.lens.engine.rounding import Noise, unit_roundoff
from chainrule.lens.engine.segments import Segment, name_of, narrower_segments
from chainrule.lens.engine.terms import terms_of_value
from chainrule.lens.engine.tolerances import FALSE_ALARM, Tolerance, student_quantile, tolerance
from chainrule.lens.engine.widened import Widened

__all__ = [
    "FALSE_ALARM",
    "FEWEST_SAMPLES",
    "NOISE_ORDER",
    "NOISE_VALUES",
    "N_SAMPLES",
    "OURS",
    "UNIT_ROUNDOFF",
    "Comparison",
    "Contribution",
    "CustomFunctions",
    "Cut",
    "Difference",
    "Estimate",
    "Formats",
    "Holding",
    "Limits",
    "Line",
    "Noise",
    "Policy",
    "ReverseStep",
    "Segment",
    "Tolerance",
    "Watched",
    "Widened",
    "along",
    "approximated",
    "autograd_gradients",
    "compare",
    "computational_noise",
    "coordinate_derivative",
    "cuts_of",
    "difference",
    "differentiable",
    "first_not_finite",
    "first_step",
    "function_name",
    "function_site",
    "held_nodes",
    "kinked",
    "largest",
    "limits_from",
    "local_gradient",
    "local_run",
    "loss_to_differentiate",
    "maker_of",
    "moving",
    "name_of",
    "narrower_segments",
    "needed_constants",
    "number_formats",
    "one_sided",
    "reasons",
    "replay",
    "reverse",
    "ridders",
    "sampled_limits",
    "settled",
    "slope",
    "student_quantile",
    "terms_of_value",
    "tolerance",
    "unit_roundoff",
    "with_noise",
    "written_in_parts",
]
