"""A recording: every operation of one forward pass, with what it read and wrote."""

from chainrule.lens.tape.copies import in_float64, modules_of, random_state, tensors_of
from chainrule.lens.tape.escapes import Escapes
from chainrule.lens.tape.functions import FunctionCall, around_functions
from chainrule.lens.tape.memory import places, version
from chainrule.lens.tape.nodes import Level, Meta, Node, Ref, Site, Stats, Tape, Value
from chainrule.lens.tape.operations import broken_up, by_schema, core_decompositions
from chainrule.lens.tape.parts import Parts, record_parts
from chainrule.lens.tape.randomness import RandomState, same_random_numbers
from chainrule.lens.tape.recorder import WHOLE
from chainrule.lens.tape.recording import Target, record
from chainrule.lens.tape.repeating import Forward, leaves_before, same_buffers, same_state
from chainrule.lens.tape.statistics import measure
from chainrule.lens.tape.subject import Subject, subject_of
from chainrule.lens.tape.watching import (
    WatchedHook,
    ends_with,
    is_line_of,
    watch_tensor,
    watched_in,
    watching_everywhere,
    written_at,
)
from chainrule.lens.tape.widening import Widened, grouped_product
from chainrule.lens.tape.wrappers import as_plain_tensors, inner_of, is_wrapper

__all__ = [
    "WHOLE",
    "Escapes",
    "Forward",
    "FunctionCall",
    "Level",
    "Meta",
    "Node",
    "Parts",
    "RandomState",
    "Ref",
    "Site",
    "Stats",
    "Subject",
    "Tape",
    "Target",
    "Value",
    "WatchedHook",
    "Widened",
    "around_functions",
    "as_plain_tensors",
    "broken_up",
    "by_schema",
    "core_decompositions",
    "ends_with",
    "grouped_product",
    "in_float64",
    "inner_of",
    "is_line_of",
    "is_wrapper",
    "leaves_before",
    "measure",
    "modules_of",
    "places",
    "random_state",
    "record",
    "record_parts",
    "same_buffers",
    "same_random_numbers",
    "same_state",
    "subject_of",
    "tensors_of",
    "version",
    "watch_tensor",
    "watched_in",
    "watching_everywhere",
    "written_at",
]
