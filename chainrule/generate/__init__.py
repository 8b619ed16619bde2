"""Text from a model: sampling rules, many prompts at once with a cache, streams of whole characters, conversations."""

from chainrule.generate.chat import ChatSettings
from chainrule.generate.commands import Answer, Leave, Remark, respond
from chainrule.generate.decode import Decoder
from chainrule.generate.entries import read_entry
from chainrule.generate.lost import LostBits, lost_bits
from chainrule.generate.opening import opened
from chainrule.generate.quantise import packed_model, quantised
from chainrule.generate.reading import PIECE, Prefix, Reader, Reading
from chainrule.generate.rules import Rule, Temperature, sampling_rules
from chainrule.generate.talk import Talk, open_talk
from chainrule.generate.text import TextStream
from chainrule.generate.usual import usual_rules
from chainrule.generate.writer import Writer, open_writer
from chainrule.generate.writing import Completion, generate, stream

__all__ = [
    "PIECE",
    "Answer",
    "ChatSettings",
    "Completion",
    "Decoder",
    "Leave",
    "LostBits",
    "Prefix",
    "Reader",
    "Reading",
    "Remark",
    "Rule",
    "Talk",
    "Temperature",
    "TextStream",
    "Writer",
    "generate",
    "lost_bits",
    "open_talk",
    "open_writer",
    "opened",
    "packed_model",
    "quantised",
    "read_entry",
    "respond",
    "sampling_rules",
    "stream",
    "usual_rules",
]
