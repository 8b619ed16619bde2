"""Teaching a trained model: adapters around it, preferences, classes; the loop is pretraining's."""

from chainrule.finetune.adapter import base_fingerprint, open_adapted, open_merged, put_adapter, save_adapter
from chainrule.finetune.adapter_checks import check_moved, check_neutral, merged_copy
from chainrule.finetune.lora import (
    adapter_in_use,
    adapter_names,
    adapter_tensors,
    add_lora,
    load_adapter,
    merge_lora,
    use_adapter,
    without_adapter,
)
from chainrule.finetune.lora_settings import LoraSettings

__all__ = [
    "LoraSettings",
    "adapter_in_use",
    "adapter_names",
    "adapter_tensors",
    "add_lora",
    "base_fingerprint",
    "check_moved",
    "check_neutral",
    "load_adapter",
    "merge_lora",
    "merged_copy",
    "open_adapted",
    "open_merged",
    "put_adapter",
    "save_adapter",
    "use_adapter",
    "without_adapter",
]
