"""The typed schema, its presets, and how file, flags and preset become one object."""

from chainrule.config.load import Layer, Resolved, load_toml, resolve, to_toml
from chainrule.config.model import Architecture, ModelConfig
from chainrule.config.presets import PRESETS, preset
from chainrule.config.schema import (
    Config,
    MachineConfig,
    OptimizerConfig,
    OriginConfig,
    ScheduleConfig,
    TextConfig,
    TrainingConfig,
    VocabularyConfig,
)

__all__ = [
    "PRESETS",
    "Architecture",
    "Config",
    "Layer",
    "MachineConfig",
    "ModelConfig",
    "OptimizerConfig",
    "OriginConfig",
    "Resolved",
    "ScheduleConfig",
    "TextConfig",
    "TrainingConfig",
    "VocabularyConfig",
    "load_toml",
    "preset",
    "resolve",
    "to_toml",
]
