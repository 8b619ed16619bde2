"""A model that has its shape and no numbers yet, to be filled with those that were saved."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import torch
from torch.overrides import TorchFunctionMode

from chainrule.base import CheckpointError
from chainrule.config import ModelConfig
from chainrule.model import GPT

# torch's own methods, and the functions of torch.nn.init that its layers call.
FILLING = ("normal_", "uniform_", "kaiming_uniform_")


class _NothingDrawn(TorchFunctionMode):
    """Inside, tensors are not filled with random numbers.

    On `meta` there is nothing to fill, and torch loads its compiler to find that out: two seconds of every start.
    """

    def __torch_function__(
        self, func: Callable[..., Any], types: Iterable[type], args: Any = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        given = kwargs or {}
        if getattr(func, "__name__", "") in FILLING:
            return args[0] if args else given["tensor"]
        return func(*args, **given)


def blank_model(config: ModelConfig) -> GPT:
    """The model of `config` on torch's `meta` device: names, shapes and types, without memory.

    Raises CheckpointError for one whose bytes no 64-bit number counts, as a file may ask for it.
    """
    try:
        with torch.device("meta"), _NothingDrawn():
            return GPT(config)
    except RuntimeError as fault:
        if "overflow" not in str(fault):
            raise
        raise CheckpointError(
            f"a model of vocab_size={config.vocab_size}, emb_dim={config.emb_dim}, hidden_dim={config.hidden_dim} is "
            "larger than any memory; its settings are damaged"
        ) from None
