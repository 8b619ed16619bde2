"""Text from a model: sampling rules, many prompts at once with a cache, and streams of whole characters."""

from chainrule.generate.lost import LostBits, lost_bits
from chainrule.generate.opening import opened
from chainrule.generate.quantise import quantised
from chainrule.generate.rules import Rule, Temperature, sampling_rules
from chainrule.generate.usual import usual_rules
from chainrule.generate.writer import Writer, open_writer
from chainrule.generate.writing import Completion, generate, stream

__all__ = [
    "Completion",
    "LostBits",
    "Rule",
    "Temperature",
    "Writer",
    "generate",
    "lost_bits",
    "open_writer",
    "opened",
    "quantised",
    "sampling_rules",
    "stream",
    "usual_rules",
]
