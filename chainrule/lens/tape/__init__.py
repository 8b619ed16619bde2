"""A recording: every operation of one forward pass, with what it read and wrote."""

from chainrule.lens.tape.copies import in_float64, modules_of
from chainrule.lens.tape.memory import places, version
from chainrule.lens.tape.nodes import Level, Meta, Node, Ref, Site, Stats, Tape, Value
from chainrule.lens.tape.parts import Parts, record_parts
from chainrule.lens.tape.recording import Target, record
from chainrule.lens.tape.repeating import Forward, RandomState, same_buffers, same_random_numbers
from chainrule.lens.tape.statistics import measure
from chainrule.lens.tape.subject import Subject, subject_of

__all__ = [
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
    "in_float64",
    "measure",
    "modules_of",
    "places",
    "record",
    "record_parts",
    "same_buffers",
    "same_random_numbers",
    "subject_of",
    "version",
]
