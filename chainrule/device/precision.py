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

    def casts_kept(self) -> AbstractContextManager[object]:
        """A context in which a weight that learns is cast once, however often `autocast` is entered within.

        torch forgets its casts when the outermost context ends. This one casts nothing; no weight may move in it.
        """
        return nullcontext() if self.dtype is None else torch.autocast(self.device, dtype=self.dtype, enabled=False)


def use_tensor_float(device: str, precision: str) -> None:
    """On a GPU products that autocast leaves in float32 take TF32 where the run's own are bfloat16, which is coarser.

    Where float32 was chosen it is float32. A CPU has no TF32, and nothing is set.
    """
    if device == "cuda":
        torch.set_float32_matmul_precision("high" if precision == "bfloat16" else "highest")
