"""Teaching a trained model: adapters around it, preferences, classes; the loop is pretraining's."""

from chainrule.finetune.adapter import (
    adapted_beside,
    base_fingerprint,
    open_adapted,
    open_merged,
    put_adapter,
    save_adapter,
)
from chainrule.finetune.adapter_checks import check_moved, check_neutral, merged_copy
from chainrule.finetune.classifier_report import ClassifierReport, Confusion
from chainrule.finetune.classifying import ClassifySettings, classify
from chainrule.finetune.labelled import LabelledText, read_labelled
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
from chainrule.finetune.pair_lint import TextPair, lint_pairs
from chainrule.finetune.pairs import (
    Preference,
    TokenPair,
    batch_key,
    check_first,
    pair_batches,
    pair_logps,
    reference_logps,
)
from chainrule.finetune.preference import OBJECTIVES, preference_row
from chainrule.finetune.preview import Span
from chainrule.finetune.rows import column_map
from chainrule.finetune.settings import TuningSettings
from chainrule.finetune.tune import finetune, resume_finetune

__all__ = [
    "OBJECTIVES",
    "ClassifierReport",
    "ClassifySettings",
    "Confusion",
    "LabelledText",
    "LoraSettings",
    "Preference",
    "Span",
    "TextPair",
    "TokenPair",
    "TuningSettings",
    "adapted_beside",
    "adapter_in_use",
    "adapter_names",
    "adapter_tensors",
    "add_lora",
    "base_fingerprint",
    "batch_key",
    "check_first",
    "check_moved",
    "check_neutral",
    "classify",
    "column_map",
    "finetune",
    "lint_pairs",
    "load_adapter",
    "merge_lora",
    "merged_copy",
    "open_adapted",
    "open_merged",
    "pair_batches",
    "pair_logps",
    "preference_row",
    "put_adapter",
    "read_labelled",
    "reference_logps",
    "resume_finetune",
    "save_adapter",
    "use_adapter",
    "without_adapter",
]
