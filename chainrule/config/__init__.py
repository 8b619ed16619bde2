"""The typed schema, its presets, and how file, flags and preset become one object."""

from chainrule.config.architectures import ARCHITECTURES, Architecture
from chainrule.config.compare import (
    ROUNDED_ON_RESUME,
    SAFE_ON_RESUME,
    changes_on_resume,
    check_fork,
    check_resume,
    differences,
    fork_of,
)
from chainrule.config.elsewhere import MODEL_WORDS
from chainrule.config.explain import explained
from chainrule.config.load import Layer, Resolved, resolve, section_type
from chainrule.config.mixture import MixtureStage, mixture_stages
from chainrule.config.model import SCALED_BY, ModelConfig
from chainrule.config.presets import PRESETS, modern, preset
from chainrule.config.quickstart import quickstart_layer
from chainrule.config.schema import Config, MachineConfig, ScheduleConfig, TextConfig, TrainingConfig, VocabularyConfig
from chainrule.config.section import Section
from chainrule.config.toml import load_toml, to_toml, toml_value

__all__ = [
    "ARCHITECTURES",
    "MODEL_WORDS",
    "PRESETS",
    "ROUNDED_ON_RESUME",
    "SAFE_ON_RESUME",
    "SCALED_BY",
    "Architecture",
    "Config",
    "Layer",
    "MachineConfig",
    "MixtureStage",
    "ModelConfig",
    "Resolved",
    "ScheduleConfig",
    "Section",
    "TextConfig",
    "TrainingConfig",
    "VocabularyConfig",
    "changes_on_resume",
    "check_fork",
    "check_resume",
    "differences",
    "explained",
    "fork_of",
    "load_toml",
    "mixture_stages",
    "modern",
    "preset",
    "quickstart_layer",
    "resolve",
    "section_type",
    "to_toml",
    "toml_value",
]
