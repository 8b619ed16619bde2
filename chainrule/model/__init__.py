"""GPT-2 as published, and one modern variant: attention, feed-forward, norm and position, one idea a file."""

from chainrule.model.attention import attend
from chainrule.model.batch import Batch, WindowsLike, micro_batches
from chainrule.model.cache import KVCache
from chainrule.model.exact import ExactReader
from chainrule.model.feed_forward import SwiGLUFeedForward
from chainrule.model.flat import FlatBlocks, can_be_flat
from chainrule.model.gpt import GPT, same_document
from chainrule.model.lora import (
    DEFAULT_ADAPTER,
    adapter_in_use,
    adapter_names,
    adapter_settings,
    adapter_tensors,
    adapters_of,
    add_lora,
    base_tensors,
    begin_adapter,
    learn_rows,
    merge_lora,
    row_tensors,
    use_adapter,
    without_adapter,
)
from chainrule.model.lora_settings import LETTERS, QKV, LoraSettings, Span, adapted_spans
from chainrule.model.loss import IGNORED, mean_loss_in_portions
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
    is_packed,
    joined,
    linear_of,
    whole_numbers_are_exact,
)
from chainrule.model.position import POSITIONS
from chainrule.model.previous_token import plant_previous_token
from chainrule.model.rope import rope_speeds, unscaled_speeds
from chainrule.model.rotated import RotatedInt8Linear
from chainrule.model.shared import sharing
from chainrule.model.turned import TurnedLinear

__all__ = [
    "DEFAULT_ADAPTER",
    "FEW_ROWS",
    "GPT",
    "GROUP",
    "IGNORED",
    "LETTERS",
    "POSITIONS",
    "QKV",
    "BFloat16Linear",
    "Batch",
    "ExactReader",
    "FlatBlocks",
    "Int4Linear",
    "Int8Linear",
    "JoinedSwiGLU",
    "KVCache",
    "LoraSettings",
    "RotatedInt8Linear",
    "Span",
    "SwiGLUFeedForward",
    "TurnedLinear",
    "WindowsLike",
    "adapted_spans",
    "adapter_in_use",
    "adapter_names",
    "adapter_settings",
    "adapter_tensors",
    "adapters_of",
    "add_lora",
    "attend",
    "base_tensors",
    "begin_adapter",
    "can_be_flat",
    "dequantised",
    "evaluating",
    "four_bits",
    "int4_fits",
    "int8_fits",
    "is_packed",
    "joined",
    "learn_rows",
    "linear_of",
    "mean_loss_in_portions",
    "merge_lora",
    "micro_batches",
    "plant_previous_token",
    "rope_speeds",
    "row_tensors",
    "same_document",
    "sharing",
    "unscaled_speeds",
    "use_adapter",
    "whole_numbers_are_exact",
    "without_adapter",
]
