"""A recording: every operation of one forward pass, with what it read and wrote."""

from chainrule.lens.tape.copies import in_float64, modules_of
from chainrule.lens.tape.escapes import Escapes
from chainrule.lens.tape.memory import places, version
from chainrule.lens.tape.nodes import Level, Meta, Node, Ref, Site, Stats, Tape, Value
from chainrule.lens.tape.operations import broken_up, core_decompositions
from chainrule.lens.tape.parts import Parts, record_parts
from chainrule.lens.tape.recording import Target, record
from chainrule.lens.tape.repeating import Forward, RandomState, leaves_before, same_buffers, same_random_numbers, same_state
from chainrule.lens.tape.statistics import measure
from chainrule.lens.tape.subject import Subject, subject_of
from chainrule.lens.tape.watching import WatchedHook, watch_tensor, watched_in, watching_everywhere, written_at

__all__ = [
    "Escapes",
    "Forward",
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
    "broken_up",
    "core_decompositions",
    "in_float64",
    "leaves_before",
    "measure",
    "modules_of",
    "places",
    "record",
    "record_parts",
    "same_buffers",
    "same_random_numbers",
    "same_state",
    "subject_of",
    "version",
    "watch_tensor",
    "watched_in",
    "watching_everywhere",
    "written_at",
]
