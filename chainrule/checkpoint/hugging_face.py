"""Hugging Face's names and shapes, both ways, for each architecture that a ModelConfig can describe."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError
from torch import Tensor

from chainrule.base import CheckpointError
from chainrule.checkpoint.gpt2_format import (
    from_gpt2_settings,
    from_gpt2_tensors,
    to_gpt2_settings,
    to_gpt2_tensors,
)
from chainrule.checkpoint.llama_format import (
    from_llama_settings,
    from_llama_tensors,
    to_llama_settings,
    to_llama_tensors,
)
from chainrule.config import ModelConfig

Tensors = Mapping[str, Tensor]


@dataclass(frozen=True)
class Format:
    """The four translations of one architecture."""

    to_settings: Callable[[ModelConfig], dict[str, Any]]
    to_tensors: Callable[[ModelConfig, Tensors], dict[str, Tensor]]
    from_settings: Callable[[Mapping[str, Any]], dict[str, Any]]
    from_tensors: Callable[[ModelConfig, Tensors], dict[str, Tensor]]


LLAMA = Format(to_llama_settings, to_llama_tensors, from_llama_settings, from_llama_tensors)
FORMATS = {
    "gpt2": Format(to_gpt2_settings, to_gpt2_tensors, from_gpt2_settings, from_gpt2_tensors),
    "llama": LLAMA,
    "qwen2": LLAMA,
    "qwen3": LLAMA,
}


def to_hugging_face(config: ModelConfig, state_dict: Tensors) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """The config.json and the tensors with which transformers computes what our model of this state dict computes."""
    chosen = FORMATS[config.architecture]
    return {**chosen.to_settings(config), "dtype": "float32"}, chosen.to_tensors(config, state_dict)


def from_hugging_face(settings: Mapping[str, Any], tensors: Tensors) -> tuple[ModelConfig, dict[str, Tensor]]:
    """Our config and state dict (float32) of a Hugging Face config.json and its tensors.

    Raises CheckpointError for an architecture, a setting or a tensor that our model does not compute, by its name.
    """
    config = model_config(settings)
    return config, FORMATS[config.architecture].from_tensors(config, tensors)


def model_config(settings: Mapping[str, Any]) -> ModelConfig:
    """Our config of a Hugging Face config.json."""
    kind = settings.get("model_type")
    if not isinstance(kind, str) or kind not in FORMATS:
        raise CheckpointError(f"config.json has model_type {kind!r}; known: {', '.join(FORMATS)}")
    return described(FORMATS[kind].from_settings(settings), "config.json")


def described(fields: Mapping[str, Any], source: str) -> ModelConfig:
    """The config of these fields; raises CheckpointError, naming `source`, when there is no such model."""
    try:
        return ModelConfig(**fields)
    except ValidationError as fault:
        first = fault.errors(include_url=False)[0]
        place = ".".join(map(str, first["loc"])) or "the whole"
        raise CheckpointError(f"{source} describes no model that exists here: {place}: {first['msg']}") from None
