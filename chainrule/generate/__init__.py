"""Text from a model: sampling rules, many prompts at once with a cache, and streams of whole characters."""

from chainrule.generate.generate import Completion, generate, stream, tokens_cut
from chainrule.generate.rules import MinP, RepetitionPenalty, Rule, Temperature, TopK, TopP, sampling_rules
from chainrule.generate.text import TextStream
from chainrule.generate.usual import usual_rules, usual_temperature

__all__ = [
    "Completion",
    "MinP",
    "RepetitionPenalty",
    "Rule",
    "Temperature",
    "TextStream",
    "TopK",
    "TopP",
    "generate",
    "sampling_rules",
    "stream",
    "tokens_cut",
    "usual_rules",
    "usual_temperature",
]
