"""What a loss is made of: windows of tokens, cut once into what is read and what is to be predicted.

It lies beside the model and not beside the shards that windows come from, because the processes that read text load
that room, and would load torch with it.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Bool, Float, Int, Int64
from torch import Tensor

from chainrule.model.loss import IGNORED


@runtime_checkable
class WindowsLike(Protocol):
    """Windows of T + 1 ids each, the numbers of their documents or None, and which ids are learnt or None."""

    @property
    def ids(self) -> Int64[np.ndarray, "B T+1"]:
        """Token ids: the last is only predicted, the first only read."""

    @property
    def documents(self) -> Int64[np.ndarray, "B T+1"] | None:
        """The document of each token."""

    @property
    def trained(self) -> Bool[np.ndarray, "B T+1"] | None:
        """Which tokens count as targets; None: all."""


@dataclass(frozen=True)
class Batch:
    """Windows on a device: `inputs` are read, `targets` predicted; a target of -100 (IGNORED) does not count.

    `documents` numbers the document of each input: attention then stays inside it. `weight` is what the loss of each
    target is multiplied by; None: all count alike.
    """

    inputs: Int[Tensor, "B T"]
    targets: Int[Tensor, "B T"]
    documents: Int[Tensor, "B T"] | None = None
    weight: Float[Tensor, "B T"] | None = None

    @classmethod
    def of(cls, windows: WindowsLike, rows: slice = slice(None), *, device: torch.device | str = "cpu") -> "Batch":
        """Some of the windows, on the device."""
        ids = _sent(windows.ids[rows], device)
        documents = None
        if windows.documents is not None:
            documents = _sent(windows.documents[rows], device)[:, :-1]
        targets = ids[:, 1:]
        if windows.trained is not None:
            trained = _sent(windows.trained[rows], device)[:, 1:]
            targets = targets.masked_fill(~trained, IGNORED)
        return cls(ids[:, :-1], targets, documents)

    def __len__(self) -> int:
        """How many windows."""
        return len(self.inputs)


def micro_batches(windows: WindowsLike, size: int, device: torch.device | str = "cpu") -> Iterator[Batch]:
    """All of the windows, `size` at a time."""
    return (Batch.of(windows, slice(at, at + size), device=device) for at in range(0, len(windows.ids), size))


def _sent(array: np.ndarray, device: torch.device | str) -> Tensor:
    """The array on the device; a GPU takes it while this process goes on."""
    tensor = torch.from_numpy(array)
    if torch.device(device).type == "cuda":
        # Of memory that the system may move, a copy is made first, and this process waits for that.
        tensor = tensor.pin_memory()
    return tensor.to(device, non_blocking=True)
