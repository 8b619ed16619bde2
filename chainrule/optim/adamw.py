"""AdamW for weights of every form, of which the matrices decay."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import torch
from torch import nn

from chainrule.config import Config
from chainrule.optim.portions import Groups, portions
from chainrule.optim.uncompiled import UncompiledAdamW


@dataclass(frozen=True)
class AdamW:
    """Adam with decoupled weight decay (Loshchilov and Hutter, arXiv 1711.05101); norms and biases do not decay."""

    lr: float
    betas: tuple[float, float]
    eps: float
    weight_decay: float

    @classmethod
    def of(cls, config: Config) -> "AdamW":
        """With the settings of a run."""
        given = config.optimizer
        return cls(given.lr, (given.beta1, given.beta2), given.eps, given.weight_decay)

    def parts(self, parameters: Mapping[str, nn.Parameter], dtype: torch.dtype) -> Iterator[torch.optim.Optimizer]:
        """One for each portion of the parameters; `dtype` plays no part, there are no matrix products."""
        decayed = [parameter for parameter in parameters.values() if parameter.dim() >= 2]
        plain = [parameter for parameter in parameters.values() if parameter.dim() < 2]
        for portion in portions({"decayed": decayed, "plain": plain}):
            yield self._part(portion)

    def _part(self, portion: Groups) -> "UncompiledAdamW":
        decay = {"decayed": self.weight_decay, "plain": 0.0}
        chosen = [
            {"params": parameters, "peak": self.lr, "weight_decay": decay[group]}
            for group, parameters in portion.items()
        ]
        return UncompiledAdamW(chosen, lr=self.lr, betas=self.betas, eps=self.eps, fused=True)
