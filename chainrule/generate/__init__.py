"""Text from a model: sampling rules, many prompts at once with a cache, and streams of whole characters."""

from chainrule.generate.generate import Completion, generate, stream
from chainrule.generate.rules import RepetitionPenalty, Rule, Temperature, TopK, TopP, sampling_rules
from chainrule.generate.text import TextStream

__all__ = [
    "Completion",
    "RepetitionPenalty",
    "Rule",
    "Temperature",
    "TextStream",
    "TopK",
    "TopP",
    "generate",
    "sampling_rules",
    "stream",
]
