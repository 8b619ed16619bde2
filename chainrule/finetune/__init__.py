"""Teaching a trained model: adapters around it, preferences, classes; the loop is pretraining's."""

from chainrule.finetune.adapter_checks import check_moved, check_neutral, merged_copy, open_merged
from chainrule.finetune.classifier_folder import SavedClassifier, is_classifier, open_classifier
from chainrule.finetune.classifier_report import ClassifierReport, Confusion
from chainrule.finetune.classifying import ClassifySettings, classify
from chainrule.finetune.labelled import LabelledText, read_labelled, read_texts
from chainrule.finetune.lessons import lesson_of_run
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
from chainrule.finetune.predicting import Prediction, predict
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
    "Prediction",
    "Preference",
    "SavedClassifier",
    "Span",
    "TextPair",
    "TokenPair",
    "TuningSettings",
    "batch_key",
    "check_first",
    "check_moved",
    "check_neutral",
    "classify",
    "column_map",
    "finetune",
    "is_classifier",
    "lesson_of_run",
    "lint_pairs",
    "merged_copy",
    "open_classifier",
    "open_merged",
    "pair_batches",
    "pair_logps",
    "predict",
    "preference_row",
    "read_labelled",
    "read_texts",
    "reference_logps",
    "resume_finetune",
]
