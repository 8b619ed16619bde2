"""The state of an optimizer whose updates are made elsewhere, by the parts of several processes."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from chainrule.config import Config
from chainrule.optim import Optimizer


class HeldOptimizer(Optimizer):
    """Moves nothing: what a checkpoint holds of it was gathered, and what is loaded will be shared out."""

    def __init__(self, model: nn.Module, config: Config, dtype: torch.dtype = torch.float32) -> None:
        self.parameters = dict(model.named_parameters())
        self.parts = []
        self.tensors: dict[str, Tensor] = {}

    def forget(self) -> None:
        """Holds nothing."""
        self.tensors = {}

    def state(self) -> dict[str, Tensor]:
        """What was gathered or loaded last."""
        return self.tensors

    def load_state(self, tensors: Mapping[str, Tensor]) -> None:
        """Takes what `state` of any optimizer gave; raises KeyError for keys that belong to no parameter."""
        for where in tensors:
            self.parameters[where.rpartition(":")[0]]
        self.tensors = dict(tensors)
