"""From a config and weights to a model that computes."""

from collections.abc import Mapping

import torch
from torch import Tensor

from chainrule.base import CheckpointError, bytes_text, usable_memory
from chainrule.checkpoint.blank import blank_model
from chainrule.checkpoint.load import check_weights, load_weights
from chainrule.config import ModelConfig
from chainrule.model import GPT, POSITIONS

# Cosines, sines, and what is there while they are computed.
TABLE_BYTES = 4 * 4


def build_model(
    config: ModelConfig,
    state_dict: Mapping[str, Tensor],
    source: str,
    device: torch.device | str,
    *,
    copied: bool = True,
) -> GPT:
    """The model of `config` with these weights, in evaluation mode; draws no random numbers.

    Without `copied` the tensors themselves become the model's, which must then be nobody else's, nor lie in a file.
    """
    model = blank_model(config)
    # Before a byte is allocated: a config.json can ask for any size, and what is there has the last word.
    check_weights(model, state_dict, source)
    _check_tables(config, source)
    if copied:
        model.to_empty(device="cpu")
    # Rotary tables are no weights: on `meta` they were not computed.
    model.position_embedding = POSITIONS[config.position](config)
    if copied:
        load_weights(model, state_dict, source)
    else:
        model.load_state_dict(dict(state_dict), assign=True)
    return model.to(device).eval()


def _check_tables(config: ModelConfig, source: str) -> None:
    """Raises CheckpointError when the tables of rotary positions, which no weights bear out, are beyond the memory."""
    needed = TABLE_BYTES * config.context_length * config.head_dim if config.position == "rope" else 0
    if needed > usable_memory() // 2:
        raise CheckpointError(
            f"{source} asks for a context of {config.context_length:,}, whose positions alone take "
            f"{bytes_text(needed)}, more than half of the memory here; lower it in config.json"
        )
