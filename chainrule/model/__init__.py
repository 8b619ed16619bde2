"""GPT-2 as published, and one modern variant: attention, feed-forward, norm and position, one idea a file."""

from chainrule.model.attention import attend
from chainrule.model.batch import Batch, WindowsLike, micro_batches
from chainrule.model.cache import KVCache
from chainrule.model.exact import ExactReader
from chainrule.model.feed_forward import SwiGLUFeedForward
from chainrule.model.flat import FlatBlock, can_be_flat
from chainrule.model.gpt import GPT
from chainrule.model.loss import IGNORED
from chainrule.model.modes import evaluating
from chainrule.model.packed import (
    FEW_ROWS,
    GROUP,
    BFloat16Linear,
    Int4Linear,
    Int8Linear,
    JoinedSwiGLU,
    dequantised,
    four_bits,
    int4_fits,
    int8_fits,
    whole_numbers_are_exact,
)
from chainrule.model.position import POSITIONS
from chainrule.model.previous_token import plant_previous_token
from chainrule.model.shared import sharing

__all__ = [
    "FEW_ROWS",
    "GPT",
    "GROUP",
    "IGNORED",
    "POSITIONS",
    "BFloat16Linear",
    "Batch",
    "ExactReader",
    "FlatBlock",
    "Int4Linear",
    "Int8Linear",
    "JoinedSwiGLU",
    "KVCache",
    "SwiGLUFeedForward",
    "WindowsLike",
    "attend",
    "can_be_flat",
    "dequantised",
    "evaluating",
    "four_bits",
    "int4_fits",
    "int8_fits",
    "micro_batches",
    "plant_previous_token",
    "sharing",
    "whole_numbers_are_exact",
]
