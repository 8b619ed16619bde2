"""The door to transformers for benchmarks: its GPT-2 with our weights."""

from collections.abc import Mapping
from typing import Any

from torch import Tensor


def their_gpt2(settings: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> Any:
    """Transformers' model of these settings, with these weights, in evaluation mode."""
    from transformers import AutoConfig, AutoModelForCausalLM

    model = AutoModelForCausalLM.from_config(AutoConfig.for_model(**settings)).float()
    model.load_state_dict(dict(tensors), strict=False)
    model.tie_weights()
    return model.eval()
