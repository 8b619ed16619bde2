"""Teaching a finished model by examples: which tokens are learnt, what goes silently wrong, the trainer's own loop."""

from chainrule.finetune.preview import Span
from chainrule.finetune.rows import column_map
from chainrule.finetune.settings import TuningSettings
from chainrule.finetune.tune import finetune, resume_finetune

__all__ = ["Span", "TuningSettings", "column_map", "finetune", "resume_finetune"]
