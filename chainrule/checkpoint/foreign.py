"""Reading what others wrote: each name is asked for once, and nothing is left over or passed over in silence."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from chainrule.base import CheckpointError

NAMES_SHOWN = 5
LARGEST_SETTING = 2**31 - 1
# The longest that was published (Llama 4 Scout: 10,485,760), and some.
LONGEST_CONTEXT = 2**24


class ForeignWeights:
    """Tensors under foreign names; `take` hands out each once, as float32, and `finish` sees that none is left."""

    def __init__(self, tensors: Mapping[str, Tensor]) -> None:
        self._left = dict(tensors)

    def take(self, name: str, *shape: int) -> Tensor:
        """The tensor of that name in float32; raises CheckpointError when it is absent or not of `shape`, if given."""
        tensor = self._left.pop(name, None)
        if tensor is None:
            raise CheckpointError(f"the weights do not fit their config.json: {name} is missing")
        if not tensor.is_floating_point():
            raise CheckpointError(f"{name} holds {tensor.dtype}; quantised weights are not read, only floating point")
        if shape and tensor.shape != shape:
            raise CheckpointError(f"{name} has shape {list(tensor.shape)}; its config.json asks for {list(shape)}")
        return tensor.float()

    def head(self, embedding: Tensor, *, tied: bool) -> dict[str, Tensor]:
        """`head.weight` of an untied model; a tied one has none, and a copy of the embedding in its file is dropped."""
        if not tied:
            return {"head.weight": self.take("lm_head.weight")}
        if "lm_head.weight" in self._left and not torch.equal(self.take("lm_head.weight"), embedding):
            raise CheckpointError(
                "config.json says tie_word_embeddings = true, but lm_head.weight differs from the embedding; "
                "set tie_word_embeddings to false if the head was trained on its own"
            )
        return {}

    def finish(self) -> None:
        """Raises CheckpointError naming the tensors that nobody asked for."""
        if self._left:
            shown = ", ".join(sorted(self._left)[:NAMES_SHOWN]) + (" …" if len(self._left) > NAMES_SHOWN else "")
            raise CheckpointError(f"the weights do not fit their config.json: it has no place for {shown}")


def setting(settings: Mapping[str, Any], name: str) -> int:
    """A whole number of a config.json; raises CheckpointError when it is absent or something else."""
    value = settings.get(name)
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= LARGEST_SETTING:
        raise CheckpointError(
            f"config.json has {name} = {value!r}; it must be a whole number from 1 to {LARGEST_SETTING:,}"
        )
    return value


def context_setting(settings: Mapping[str, Any], name: str) -> int:
    """The same for the length of the context, which no weights need bear out: tables of positions are as long as it."""
    value = setting(settings, name)
    if value > LONGEST_CONTEXT:
        raise CheckpointError(
            f"config.json has {name} = {value:,}; contexts of up to {LONGEST_CONTEXT:,} are computed here"
        )
    return value


def refuse_settings(settings: Mapping[str, Any], fixed: Mapping[str, Any]) -> None:
    """Raises CheckpointError when the settings ask for something else than `fixed`, which is all that we compute."""
    for name, value in fixed.items():
        if settings.get(name, value) != value:
            raise CheckpointError(
                f"config.json has {name} = {settings[name]!r}; this model computes {value!r} only, so its results "
                "would be wrong"
            )
    kinds = settings.get("layer_types") or ["full_attention"]
    if not isinstance(kinds, list) or any(kind != "full_attention" for kind in kinds):
        raise CheckpointError(f"config.json has layer_types {kinds!r}; only full_attention is computed here")
