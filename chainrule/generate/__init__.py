"""Text from a model: sampling rules, many prompts at once with a cache, and streams of whole characters."""

from chainrule.generate.decode import Decoder
from chainrule.generate.opening import opened
from chainrule.generate.rules import Rule, Temperature, sampling_rules
from chainrule.generate.usual import usual_rules
from chainrule.generate.writer import Writer, open_writer
from chainrule.generate.writing import Completion, generate, stream

__all__ = [
    "Completion",
    "Decoder",
    "Rule",
    "Temperature",
    "Writer",
    "generate",
    "open_writer",
    "opened",
    "sampling_rules",
    "stream",
    "usual_rules",
]
