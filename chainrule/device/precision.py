"""Where a model computes, and in which number format."""

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

import torch


@dataclass(frozen=True)
class Precision:
    """Where and in which number format a model computes."""

    device: str
    name: str

    @property
    def dtype(self) -> torch.dtype | None:
        """The type of matrix products when it is not that of the weights."""
        return torch.bfloat16 if self.name == "bfloat16" else None

    def autocast(self) -> AbstractContextManager[object]:
        """A context in which matrix products are made in this format; weights stay float32."""
        return nullcontext() if self.dtype is None else torch.autocast(self.device, dtype=self.dtype)
